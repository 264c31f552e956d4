// Types for the part of sherpa-onnx-node that the engine uses; the package has none.
declare module "sherpa-onnx-node" {
  interface Audio {
    samples: Float32Array;
    sampleRate: number;
  }

  interface RuntimeConfig {
    numThreads: number;
    provider: "cpu";
    debug: 0 | 1;
  }

  interface TransducerFiles {
    encoder: string;
    decoder: string;
    joiner: string;
  }

  interface FeatureConfig {
    sampleRate: number;
    featureDim: number;
  }

  export interface OfflineModelConfig extends RuntimeConfig {
    tokens: string;
    modelType?: string;
    moonshine?: { encoder: string; mergedDecoder: string };
    whisper?: { encoder: string; decoder: string; language: string; task: "transcribe" };
    canary?: { encoder: string; decoder: string; srcLang: string; tgtLang: string; usePnc: 1 };
    transducer?: TransducerFiles;
    nemoCtc?: { model: string };
    zipformerCtc?: { model: string };
    senseVoice?: { model: string; language: string; useInverseTextNormalization: 1 };
  }

  export interface OnlineModelConfig extends RuntimeConfig {
    tokens: string;
    transducer?: TransducerFiles;
    zipformer2Ctc?: { model: string };
  }

  /** The lists are empty where the model does not tell times. */
  interface Result {
    text: string;
    tokens?: string[];
    timestamps?: number[];
  }

  interface OfflineResult extends Result {
    durations?: number[];
    /** `<|en|>`, `en`, or nothing. */
    lang?: string;
  }

  interface OfflineStream {
    acceptWaveform(audio: Audio): void;
  }

  interface OfflineRecognizerConfig {
    featConfig: FeatureConfig;
    modelConfig: OfflineModelConfig;
  }

  export class OfflineRecognizer {
    static createAsync(config: OfflineRecognizerConfig): Promise<OfflineRecognizer>;
    /** Counts for what is decoded afterwards; the model stays loaded. */
    setConfig(config: OfflineRecognizerConfig): void;
    createStream(): OfflineStream;
    decodeAsync(stream: OfflineStream): Promise<OfflineResult>;
  }

  interface OnlineStream extends OfflineStream {
    inputFinished(): void;
    /** `language` is read by streaming models of several languages; others ignore it. */
    setOption(key: string, value: string): void;
  }

  export class OnlineRecognizer {
    constructor(config: { featConfig: FeatureConfig; modelConfig: OnlineModelConfig });
    createStream(): OnlineStream;
    isReady(stream: OnlineStream): boolean;
    decode(stream: OnlineStream): void;
    getResult(stream: OnlineStream): Result;
  }

  /** Punctuation and case for English text in lower case. */
  export class OnlinePunctuation {
    constructor(config: { model: RuntimeConfig & { cnnBilstm: string; bpeVocab: string } });
    addPunct(text: string): string;
  }

  export class OnlineSpeechDenoiser {
    constructor(config: { model: RuntimeConfig & { gtcrn: { model: string } } });
    run(request: Audio & { enableExternalBuffer: boolean }): Audio;
    flush(enableExternalBuffer: boolean): Audio;
  }

  interface PhonemeFiles {
    tokens: string;
    /** The folder of espeak-ng's data. */
    dataDir: string;
    /** Paths of pronunciations, separated by commas. */
    lexicon?: string;
  }

  interface OfflineTtsModelConfig extends RuntimeConfig {
    vits?: PhonemeFiles & { model: string };
    kokoro?: PhonemeFiles & { model: string; voices: string; lang: string };
    kitten?: PhonemeFiles & { model: string; voices: string };
    matcha?: PhonemeFiles & { acousticModel: string; vocoder: string };
    zipvoice?: PhonemeFiles & { encoder: string; decoder: string; vocoder: string };
    supertonic?: {
      durationPredictor: string;
      textEncoder: string;
      vectorEstimator: string;
      vocoder: string;
      ttsJson: string;
      unicodeIndexer: string;
      voiceStyle: string;
    };
    pocket?: {
      lmFlow: string;
      lmMain: string;
      encoder: string;
      decoder: string;
      textConditioner: string;
      vocabJson: string;
      tokenScoresJson: string;
    };
  }

  export interface OfflineTtsConfig {
    model: OfflineTtsModelConfig;
    maxNumSentences: number;
    /** Paths of the readings of numbers and dates, separated by commas. */
    ruleFsts?: string;
  }

  /** The library takes what is left out for 0. */
  export interface GenerationConfig {
    sid: number;
    speed: number;
    /** A factor for the pauses within a text. */
    silenceScale: number;
    /** Steps of the voices that take off noise step by step. */
    numSteps: number;
    /** For voices that speak like a recording. */
    referenceAudio?: Float32Array;
    referenceSampleRate?: number;
    referenceText?: string;
    extra?: { lang?: string };
  }

  export class OfflineTts {
    static createAsync(config: OfflineTtsConfig): Promise<OfflineTts>;
    readonly numSpeakers: number;
    readonly sampleRate: number;
    /** `onProgress` stops the synthesis by returning 0. */
    generateAsync(request: {
      text: string;
      generationConfig: GenerationConfig;
      enableExternalBuffer: boolean;
      onProgress?: (part: { samples: Float32Array; progress: number }) => 0 | 1;
    }): Promise<Audio>;
  }

  export class LinearResampler {
    constructor(inputRate: number, outputRate: number);
    resample(samples: Float32Array): Float32Array;
    flush(samples: Float32Array): Float32Array;
  }

  export class Vad {
    constructor(
      config: RuntimeConfig & {
        sampleRate: number;
        sileroVad: {
          model: string;
          threshold: number;
          minSilenceDuration: number;
          minSpeechDuration: number;
          maxSpeechDuration: number;
          windowSize: number;
        };
      },
      bufferSeconds: number,
    );
    acceptWaveform(samples: Float32Array): void;
    isDetected(): boolean;
    isEmpty(): boolean;
    pop(): void;
    reset(): void;
  }
}
