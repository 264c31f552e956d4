import type { LocalTtsModel } from "../domain/model.ts";
import { pcmFrom } from "../lib/wav.ts";
import { FairQueue } from "./fair-queue.ts";
import { readOnnxFile } from "./onnx-file.ts";
import { sentences } from "./sentences.ts";
import { runtimeConfig, type Sherpa } from "./sherpa.ts";

/** The rate of OpenAI's speech in Hz, to which every voice is brought. */
export const SPEECH_RATE = 24_000;

export interface SpeakOptions {
  /** A speaker of the model, by name or number; an unknown one is the model's first. */
  voice: string;
  /** 1 is the voice's own. */
  speed: number;
  /** Whose turn it takes in the queue. */
  client: string;
  signal: AbortSignal;
}

/** A loaded model that speaks. */
export interface Voice {
  /**
   * Speaks a text piece by piece, as mono samples at `SPEECH_RATE`.
   *
   * @throws the signal's reason
   */
  speak(text: string, options: SpeakOptions): AsyncGenerator<Int16Array>;
}

/** @throws Error of sherpa-onnx, which says little: check the files before */
export async function loadVoice(sherpa: Sherpa, model: LocalTtsModel): Promise<Voice> {
  const tts = await sherpa.OfflineTts.createAsync({
    model: { ...runtimeConfig(), ...filesFor(model) },
    maxNumSentences: 1,
  });
  const speakers = await speakerNames(model.model);
  const queue = new FairQueue();

  async function* speak(text: string, { voice, speed, client, signal }: SpeakOptions) {
    const resampler = new sherpa.LinearResampler(tts.sampleRate, SPEECH_RATE);
    const sid = speakerOf(voice, speakers, tts.numSpeakers);
    const pieces = sentences(text);
    for (const piece of pieces) {
      // Each piece waits for its turn anew: a long text does not hold up the short ones of others.
      const { samples } = await queue.run(
        client,
        () =>
          tts.generateAsync({
            text: piece,
            sid,
            speed,
            enableExternalBuffer: false,
            onProgress: () => (signal.aborted ? 0 : 1),
          }),
        signal,
      );
      signal.throwIfAborted();
      yield pcmFrom(resampler.resample(samples));
    }
    yield pcmFrom(resampler.flush(new Float32Array()));
  }
  return { speak };
}

function filesFor(model: LocalTtsModel) {
  const { tokens, phonemes: dataDir } = model;
  if (model.kind === "piper") return { vits: { model: model.model, tokens, dataDir } };
  // Models of many languages want one named, or exit; the English one takes no notice.
  const { voices } = model;
  return { kokoro: { model: model.model, tokens, voices, dataDir, lang: "en-us" } };
}

/** Kokoro's models list the names of their speakers, in order. */
async function speakerNames(path: string): Promise<string[]> {
  const { properties } = await readOnnxFile(path);
  const names = properties.get("speaker_names") ?? "";
  return names.split(",").map((name) => name.trim());
}

function speakerOf(voice: string, names: readonly string[], count: number): number {
  const named = names.indexOf(voice);
  const number = named >= 0 ? named : /^\d{1,4}$/.test(voice) ? Number(voice) : 0;
  return number < count ? number : 0;
}
