import type { LocalSttModel } from "../domain/model.ts";
import { FairQueue } from "./fair-queue.ts";
import { GrowingUtterance } from "./growing-utterance.ts";
import { runtimeConfig, type Sherpa } from "./sherpa.ts";
import { HEARING_RATE, LONGEST_S } from "./split-audio.ts";
import { StreamedUtterance } from "./streamed-utterance.ts";

/** A part of an utterance; its bounds are in seconds from the utterance's start. */
export interface Heard {
  text: string;
  start: number;
  end: number;
}

/** Something that is being said. */
export interface Utterance {
  /** Whether a word of an interim result may still change. */
  readonly wavers: boolean;
  /** @param samples mono, at `HEARING_RATE` */
  push(samples: Float32Array): void;
  /** Its text so far; undefined where asking would keep somebody waiting. */
  interim(signal: AbortSignal): Promise<string | undefined>;
  /** Its whole text. Nothing is pushed afterwards. @throws the signal's reason */
  finish(signal: AbortSignal): Promise<Heard[]>;
}

/** A loaded model that understands speech. */
export interface Recogniser {
  /** @param client whose turn the utterance takes in the queue */
  listen(client: string): Utterance;
}

const FEATURES = { sampleRate: HEARING_RATE, featureDim: 80 };

/** @throws Error of sherpa-onnx, which says little: check the files before */
export async function loadRecogniser(sherpa: Sherpa, model: LocalSttModel): Promise<Recogniser> {
  const queue = new FairQueue();
  if (model.kind === "streaming-transducer") {
    const { encoder, decoder, joiner, tokens } = model;
    const online = new sherpa.OnlineRecognizer({
      featConfig: FEATURES,
      modelConfig: { ...runtimeConfig(), tokens, transducer: { encoder, decoder, joiner } },
    });
    return { listen: (client) => new StreamedUtterance(online, queue, client) };
  }
  const offline = await sherpa.OfflineRecognizer.createAsync({
    featConfig: FEATURES,
    modelConfig: { ...runtimeConfig(), tokens: model.tokens, ...filesFor(model) },
  });
  const decode = async (samples: Float32Array) => {
    const stream = offline.createStream();
    stream.acceptWaveform({ samples, sampleRate: HEARING_RATE });
    return (await offline.decodeAsync(stream)).text.trim();
  };
  const longestS = model.kind === "moonshine" ? LONGEST_S.moonshine : LONGEST_S.usual;
  return { listen: (client) => new GrowingUtterance(decode, longestS, queue, client) };
}

function filesFor(model: Exclude<LocalSttModel, { kind: "streaming-transducer" }>) {
  switch (model.kind) {
    case "moonshine":
      return { moonshine: { encoder: model.encoder, mergedDecoder: model.mergedDecoder } };
    case "whisper": {
      const { encoder, decoder } = model;
      // An empty language is recognised from the speech.
      return { whisper: { encoder, decoder, language: "", task: "transcribe" as const } };
    }
    case "nemo-transducer": {
      const { encoder, decoder, joiner } = model;
      return { transducer: { encoder, decoder, joiner }, modelType: "nemo_transducer" };
    }
  }
}
