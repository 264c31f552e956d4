import type { VAD } from "@livekit/agents";
import type OpenAI from "openai";
import { Failover } from "../providers/failover.ts";
import type { ModelMemory } from "../providers/model-memory.ts";
import { createProviderClient } from "../providers/provider-client.ts";
import { tellingOfFallback } from "../providers/provider-errors.ts";
import { promptOf, Transcriber } from "../providers/transcription.ts";
import type { ClientOf, PipelineOptions, ProviderOptions } from "./pipeline.ts";
import { RealtimeStt } from "./realtime-stt.ts";
import type { SttWrapper } from "./stt-wrapper.ts";
import { UtteranceStt } from "./utterance-stt.ts";

/** Creates the speech recognition of one session. */
export function createStt(
  options: PipelineOptions,
  vad: VAD,
  memory: ModelMemory,
  clientOf: ClientOf,
): SttWrapper {
  const { stt, language, keyterms } = options;
  const requests = createRequestStt(options, vad, memory, clientOf);
  if (!stt.realtime) {
    if (!requests) throw new Error("no server transcribes requests");
    return requests;
  }
  const prompt = promptOf(keyterms);
  return new RealtimeStt({
    server: { ...stt, language, prompt },
    vad,
    onNotice: options.onNotice,
    requests,
    onSwitch: (why, error) => {
      if (stt.requests) stt.requests.onSwitch(why);
      else tellingOfFallback("stt", stt, stt.fallback, options.onNotice)(error);
    },
  });
}

/** Recognition by requests: at the stage's server where that is allowed, then at the second one. */
function createRequestStt(
  { stt, language, keyterms, onNotice }: PipelineOptions,
  vad: VAD,
  memory: ModelMemory,
  clientOf: ClientOf,
): UtteranceStt | undefined {
  const { fallback, requests } = stt;
  const transcriber = (server: ProviderOptions, client: OpenAI) => {
    const { refused } = memory.of(server);
    return new Transcriber({ client, model: server.model, language, keyterms, refused });
  };
  const second = fallback && transcriber(fallback, clientOf("stt", fallback));
  const model = stt.realtime ? requests?.model : stt.model;
  const server = model === undefined ? undefined : { ...stt, model };
  // Where another provider can answer, a model is not waited for until it is loaded.
  const client = server && (second ? createProviderClient(server) : clientOf("stt", server));
  const first = server && client ? transcriber(server, client) : second;
  if (!first) return undefined;
  const onSwitch = tellingOfFallback("stt", stt, fallback, onNotice);
  const servers = new Failover(first, first === second ? undefined : second, onSwitch);
  return new UtteranceStt(first.model, servers, language, vad);
}
