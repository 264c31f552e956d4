import type { LocalSttModel } from "../domain/model.ts";
import { FairQueue } from "./fair-queue.ts";
import { runtimeConfig, type Sherpa } from "./native-libraries.ts";
import {
  BufferedUtterance,
  RECOGNISER_RATE,
  StreamingUtterance,
  type Utterance,
} from "./utterance.ts";

/** A loaded speech recognition model. */
export interface Recogniser {
  /**
   * Begins an utterance.
   *
   * @param client the client whose turn it takes in the queue
   * @param language the code of the language that is spoken, for models that take one
   */
  listen(client: string, language?: string): Utterance;
}

type StreamingModel = Extract<LocalSttModel, { kind: "streaming-transducer" }>;
type OfflineModel = Exclude<LocalSttModel, StreamingModel>;

const FEATURES = { sampleRate: RECOGNISER_RATE, featureDim: 80 };

/** Most models reject more than 30 s of audio, or lose the end of it. */
const MAX_SEGMENT_S = 24;
/**
 * With Moonshine's models sherpa-onnx 1.13.8 returns no text for audio of more than 9.2 s, because it
 * builds the attention mask from encoder frames where the model expects samples
 * (https://github.com/k2-fsa/sherpa-onnx/issues/3975). #3976 fixes this but is not on npm yet. Remove
 * this limit with the release that contains it.
 */
const MAX_MOONSHINE_SEGMENT_S = 8;

/** @throws Error of sherpa-onnx, which explains little: call `checkModelFiles` before */
export async function loadRecogniser(sherpa: Sherpa, model: LocalSttModel): Promise<Recogniser> {
  const queue = new FairQueue();
  if (model.kind === "streaming-transducer") {
    const recogniser = loadStreaming(sherpa, model);
    return { listen: (client) => new StreamingUtterance(recogniser, queue, client) };
  }
  const decode = await loadOffline(sherpa, model);
  const maxSegmentS = model.kind === "moonshine" ? MAX_MOONSHINE_SEGMENT_S : MAX_SEGMENT_S;
  return {
    listen: (client, language) =>
      new BufferedUtterance((samples) => decode(samples, language), maxSegmentS, queue, client),
  };
}

function loadStreaming(sherpa: Sherpa, { encoder, decoder, joiner, tokens }: StreamingModel) {
  return new sherpa.OnlineRecognizer({
    featConfig: FEATURES,
    modelConfig: { ...runtimeConfig(), tokens, transducer: { encoder, decoder, joiner } },
  });
}

async function loadOffline(sherpa: Sherpa, model: OfflineModel) {
  const configFor = (language: string) => ({
    featConfig: FEATURES,
    modelConfig: { ...runtimeConfig(), tokens: model.tokens, ...networksOf(model, language) },
  });
  const recogniser = await sherpa.OfflineRecognizer.createAsync(configFor(""));
  let current = "";
  // Called for one utterance at a time, so the setting is that of the utterance.
  return async (samples: Float32Array, wanted = ""): Promise<string> => {
    const language = model.kind === "whisper" && WHISPER_LANGUAGES.has(wanted) ? wanted : "";
    if (language !== current) recogniser.setConfig(configFor(language));
    current = language;
    const stream = recogniser.createStream();
    stream.acceptWaveform({ samples, sampleRate: RECOGNISER_RATE });
    return (await recogniser.decodeAsync(stream)).text.trim();
  };
}

/** The languages of every Whisper model. The library ends the process for any other. */
const WHISPER_LANGUAGES: ReadonlySet<string> = new Set(
  (
    "af am ar as az ba be bg bn bo br bs ca cs cy da de el en es et eu fa fi fo fr gl gu ha haw he " +
    "hi hr ht hu hy id is it ja jw ka kk km kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt my ne " +
    "nl nn no oc pa pl ps pt ro ru sa sd si sk sl sn so sq sr su sv sw ta te tg th tk tl tr tt uk " +
    "ur uz vi yi yo zh"
  ).split(" "),
);

/** The part of sherpa-onnx's settings that differs between kinds of model. */
function networksOf(model: OfflineModel, language: string) {
  switch (model.kind) {
    case "moonshine":
      return { moonshine: { encoder: model.encoder, mergedDecoder: model.mergedDecoder } };
    case "whisper": {
      const { encoder, decoder } = model;
      // Whisper detects the language from the speech where none is set.
      return { whisper: { encoder, decoder, language, task: "transcribe" as const } };
    }
    case "nemo-transducer": {
      const { encoder, decoder, joiner } = model;
      return { transducer: { encoder, decoder, joiner }, modelType: "nemo_transducer" };
    }
  }
}
