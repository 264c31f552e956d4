import { dirname } from "node:path";
import type { OfflineModelConfig, OfflineRecognizer, OnlineModelConfig } from "sherpa-onnx-node";
import type { EngineSettings } from "../domain/engine-settings.ts";
import type { LocalSttModel } from "../domain/model.ts";
import { Failure } from "../errors.ts";
import { RECOGNISER_RATE, type SpeechDetector } from "./audio-tools.ts";
import { hasOneCase, sentenceCase } from "./casing.ts";
import { FairQueue } from "./fair-queue.ts";
import { runtimeConfig, type Sherpa } from "./native-libraries.ts";
import { heardLanguage } from "./spoken-language.ts";
import { threadsFor } from "./threads.ts";
import { BufferedUtterance, type Heard, StreamingUtterance, type Utterance } from "./utterance.ts";
import { timedWords, withoutLoops } from "./words.ts";

/** How an utterance is listened to. */
export interface Listening {
  /** The client whose turn it takes in the queue. */
  client: string;
  /** The code of the language that is spoken, for models that take one. */
  language?: string | undefined;
  /** Creates what finds the pauses; the utterance disposes of it. */
  detector: () => SpeechDetector;
}

/** Removes noise from audio that arrives in pieces, at `RECOGNISER_RATE`. */
export interface Denoiser {
  push(samples: Float32Array): Float32Array;
  /** What earlier pieces left in the filter. */
  flush(): Float32Array;
}

/** A loaded speech recognition model. */
export interface Recogniser {
  /** Whether its segments say when each word was spoken. */
  readonly timesWords: boolean;
  /** Begins an utterance. */
  listen(options: Listening): Utterance;
  /** What cleans the audio of one client before it is heard; undefined where that is switched off. */
  denoiser?(): Denoiser;
}

type StreamingModel = Extract<LocalSttModel, { kind: "streaming-transducer" | "streaming-ctc" }>;
type OfflineModel = Exclude<LocalSttModel, StreamingModel>;

const FEATURES = { sampleRate: RECOGNISER_RATE, featureDim: 80 };

/** Most models reject more than 30 s of audio, or lose the end of it. */
const MAX_SPAN_S = 24;
/**
 * With Moonshine's models sherpa-onnx 1.13.8 returns no text for audio of more than 9.2 s, because it
 * builds the attention mask from encoder frames where the model expects samples
 * (https://github.com/k2-fsa/sherpa-onnx/issues/3975). #3976 fixes this but is not on npm yet. Remove
 * this limit with the release that contains it.
 */
const MAX_MOONSHINE_SPAN_S = 8;

/** These report no times: Whisper's files from sherpa-onnx lack the outputs that would. */
const WITHOUT_TIMES: ReadonlySet<LocalSttModel["kind"]> = new Set([
  "moonshine",
  "whisper",
  "canary",
]);

/** Audio that is left out when speech is recognised again, in samples; silence mostly. */
const NUDGE = RECOGNISER_RATE / 10;

/** @throws Error of sherpa-onnx, which explains little: call `checkModelFiles` before */
export async function loadRecogniser(
  sherpa: Sherpa,
  model: LocalSttModel,
  settings: Pick<EngineSettings, "denoise"> & Partial<EngineSettings>,
): Promise<Recogniser> {
  const shared = {
    timesWords: !WITHOUT_TIMES.has(model.kind),
    ...(settings.denoise ? { denoiser: await denoiserOf(sherpa, model) } : {}),
  };
  const queue = new FairQueue();
  const threads = threadsFor("stt", settings.threads);
  const written = await writing(sherpa, model);
  if (isStreaming(model)) {
    const config = runtimeConfig(threads);
    const modelConfig = { ...config, tokens: model.tokens, ...streamingNetworks(model) };
    const recogniser = new sherpa.OnlineRecognizer({ featConfig: FEATURES, modelConfig });
    const heardAs = heardLanguage(model);
    return {
      ...shared,
      listen: ({ client, language }) => {
        const heard = heardAs(undefined, language);
        return new StreamingUtterance({ recogniser, written, language, heard, queue, client });
      },
    };
  }
  const decode = await loadOffline(sherpa, model, threads, written);
  const maxSeconds = model.kind === "moonshine" ? MAX_MOONSHINE_SPAN_S : MAX_SPAN_S;
  return {
    ...shared,
    listen: ({ client, language, detector }) =>
      new BufferedUtterance({
        decode: (samples) => decode(samples, language),
        detector: detector(),
        maxSeconds,
        queue,
        client,
      }),
  };
}

function isStreaming(model: LocalSttModel): model is StreamingModel {
  return model.kind === "streaming-transducer" || model.kind === "streaming-ctc";
}

type Written = (text: string, isFinal: boolean) => string;

async function loadOffline(sherpa: Sherpa, model: OfflineModel, threads: number, written: Written) {
  const recogniserFor = await offlineRecognisers(sherpa, model, threads);
  const heardAs = heardLanguage(model);
  // Called for one stretch of audio at a time, so the language is that of the audio.
  return async (samples: Float32Array, language = ""): Promise<Heard> => {
    const recogniser = await recogniserFor(language);
    const decode = (audio: Float32Array) => {
      const stream = recogniser.createStream();
      stream.acceptWaveform({ samples: audio, sampleRate: RECOGNISER_RATE });
      return recogniser.decodeAsync(stream);
    };
    let result = await decode(samples);
    // A model that fell into a loop mostly does not a moment later in its audio.
    if (withoutLoops(result.text) !== result.text) result = await decode(samples.subarray(NUDGE));
    const detected = /[a-z]{2,3}/.exec(result.lang ?? "")?.[0];
    return {
      text: written(withoutLoops(result.text.trim()), true),
      words: timedWords(result, samples.length / RECOGNISER_RATE),
      language: heardAs(detected, language || undefined),
    };
  };
}

/** The recogniser, set to the language that is asked for. */
async function offlineRecognisers(sherpa: Sherpa, model: OfflineModel, threads: number) {
  const configFor = (language: string) => ({
    featConfig: FEATURES,
    modelConfig: {
      ...runtimeConfig(threads),
      tokens: model.tokens,
      ...networksOf(model, language),
    },
  });
  const load = (language: string) => sherpa.OfflineRecognizer.createAsync(configFor(language));
  const recogniser = await load("");
  let current = "";
  let other: OfflineRecognizer | undefined;
  return async (language: string): Promise<OfflineRecognizer> => {
    // Of SenseVoice `setConfig` would replace the settings of its features as well.
    if (model.kind === "sense-voice") {
      if (language === "") return recogniser;
      if (language !== current) other = await load(language);
      current = language;
      return other ?? recogniser;
    }
    if (language !== current) recogniser.setConfig(configFor(language));
    current = language;
    return recogniser;
  };
}

/** The part of sherpa-onnx's settings that differs between kinds of model. */
function networksOf(model: OfflineModel, language: string): Partial<OfflineModelConfig> {
  switch (model.kind) {
    case "moonshine":
      return { moonshine: { encoder: model.encoder, mergedDecoder: model.mergedDecoder } };
    case "whisper": {
      const { encoder, decoder } = model;
      // Whisper detects the language from the speech where none is set.
      return { whisper: { encoder, decoder, language, task: "transcribe" } };
    }
    case "canary": {
      const { encoder, decoder } = model;
      // Canary detects nothing: without a language it takes speech for English.
      const spoken = language || "en";
      return { canary: { encoder, decoder, srcLang: spoken, tgtLang: spoken, usePnc: 1 } };
    }
    case "nemo-transducer":
      return { transducer: transducerOf(model), modelType: "nemo_transducer" };
    case "transducer":
      return { transducer: transducerOf(model), modelType: "transducer" };
    case "nemo-ctc":
      return { nemoCtc: { model: model.model } };
    case "zipformer-ctc":
      return { zipformerCtc: { model: model.model } };
    case "sense-voice":
      return { senseVoice: { model: model.model, language, useInverseTextNormalization: 1 } };
  }
}

function streamingNetworks(model: StreamingModel): Partial<OnlineModelConfig> {
  return model.kind === "streaming-ctc"
    ? { zipformer2Ctc: { model: model.model } }
    : { transducer: transducerOf(model) };
}

function transducerOf({
  encoder,
  decoder,
  joiner,
}: Record<"encoder" | "decoder" | "joiner", string>) {
  return { encoder, decoder, joiner };
}

/** Gives text its case and, with a model for that, its punctuation, where the recogniser does not. */
async function writing(sherpa: Sherpa, model: LocalSttModel): Promise<Written> {
  if (!hasOneCase(await Bun.file(model.tokens).text())) return (text) => text;
  const { punctuation: cnnBilstm, punctuationVocabulary: bpeVocab } = model;
  if (!cnnBilstm || !bpeVocab) return sentenceCase;
  const punctuation = new sherpa.OnlinePunctuation({
    model: { ...runtimeConfig(), cnnBilstm, bpeVocab },
  });
  return (text, isFinal) => {
    if (!isFinal || text === "") return sentenceCase(text);
    return sentenceCaseStart(punctuation.addPunct(text.toLowerCase()));
  };
}

function sentenceCaseStart(text: string): string {
  return text.replace(/^\p{L}/u, (first) => first.toUpperCase());
}

/** @throws Failure that says which file noise suppression needs */
async function denoiserOf(sherpa: Sherpa, model: LocalSttModel): Promise<() => Denoiser> {
  const { denoiser } = model;
  if (denoiser === undefined) {
    throw new Failure(
      "unavailable",
      `Noise suppression is switched on (ENGINE_DENOISE), but the model ${model.id} has no ` +
        `gtcrn_simple.onnx in ${dirname(model.tokens)}. Put it there (docs/OFFLINE.md says where it ` +
        "is), or switch noise suppression off.",
    );
  }
  return () => {
    const filter = new sherpa.OnlineSpeechDenoiser({
      model: { ...runtimeConfig(), gtcrn: { model: denoiser } },
    });
    const sampleRate = RECOGNISER_RATE;
    return {
      push: (samples) => filter.run({ samples, sampleRate, enableExternalBuffer: false }).samples,
      flush: () => filter.flush(false).samples,
    };
  };
}
