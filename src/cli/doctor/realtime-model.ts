import { isOpenAi, type SpeechToSpeechProvider } from "../../domain/stage.ts";
import { tryRealtimeModel } from "../../providers/realtime-model-connection.ts";
import { realtimeModelError } from "../../providers/realtime-model-errors.ts";
import { type Check, type Finding, failed, ok } from "./check.ts";

const ANSWER_MS = 7000;

/** Checks that a realtime model accepts a session, as a conversation would open it. */
export function speechToSpeechCheck(provider: SpeechToSpeechProvider): Check {
  const { host } = new URL(provider.baseURL);
  return {
    name: "speech to speech",
    deadlineMs: 2 * ANSWER_MS + 1000,
    timeoutHint: `Is ${host} running? Check its address, the network and the firewall.`,
    run: () => checkSession(provider, host),
  };
}

async function checkSession(provider: SpeechToSpeechProvider, host: string): Promise<Finding> {
  if (provider.apiKey === undefined && isOpenAi(provider.baseURL)) {
    const hint = "Set REALTIME_API_KEY or OPENAI_API_KEY, or REALTIME_BASE_URL for another server.";
    return failed("no provider is set up", hint);
  }
  try {
    const ms = Math.round(await tryRealtimeModel(provider, ANSWER_MS));
    return ok(`${host} accepts a session with ${provider.model} in ${ms} ms`);
  } catch (error) {
    const { finding, remedy } = realtimeModelError(provider, error);
    return failed(`${host} ${finding}`, remedy);
  }
}
