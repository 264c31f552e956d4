import type { LocalTtsModel } from "../domain/model.ts";
import { readOnnxFile } from "../lib/onnx-file.ts";
import { pcmFrom } from "../lib/wav.ts";
import { sentences } from "../spoken-text/sentences.ts";
import { FairQueue } from "./fair-queue.ts";
import { runtimeConfig, type Sherpa } from "./native-libraries.ts";
import { voiceFiles } from "./voice-files.ts";

/** The sample rate of OpenAI's speech in Hz, to which every voice is resampled. */
export const SPEECH_RATE = 24_000;

/** The library's own factor for the pauses within a text, and its number of steps. */
const SILENCE_SCALE = 0.2;
const STEPS = 5;

export interface SpeakOptions {
  /** A speaker of the model, by name or number; an unknown one means the model's first. */
  voice: string;
  /** A factor; 1 is the voice's usual speed. */
  speed: number;
  /** The client whose turn it takes in the queue. */
  client: string;
  signal: AbortSignal;
}

/** A loaded speech synthesis model. */
export interface Voice {
  /**
   * Synthesises a text piece by piece, as mono samples at `SPEECH_RATE`.
   *
   * @throws the signal's reason
   */
  speak(text: string, options: SpeakOptions): AsyncGenerator<Int16Array>;
}

/** @throws Error of sherpa-onnx, which explains little: call `checkModelFiles` before */
export async function loadVoice(sherpa: Sherpa, model: LocalTtsModel): Promise<Voice> {
  const files = voiceFiles(model);
  const tts = await sherpa.OfflineTts.createAsync({
    ...files,
    model: { ...runtimeConfig(), ...files.model },
    maxNumSentences: 1,
  });
  const speakers = await speakerNames("model" in model ? model.model : undefined);
  const queue = new FairQueue();

  async function* speak(text: string, { voice, speed, client, signal }: SpeakOptions) {
    const resampler = new sherpa.LinearResampler(tts.sampleRate, SPEECH_RATE);
    const sid = speakerId(voice, speakers, tts.numSpeakers);
    for (const piece of sentences(text)) {
      // Each piece waits for its own turn, so that a long text does not delay the others' short ones.
      const { samples } = await queue.run(
        client,
        () =>
          tts.generateAsync({
            text: piece,
            generationConfig: { sid, speed, silenceScale: SILENCE_SCALE, numSteps: STEPS },
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

/** The names of a model's speakers in order, where its metadata lists them, as Kokoro's does. */
async function speakerNames(path: string | undefined): Promise<string[]> {
  if (path === undefined) return [];
  const { properties } = readOnnxFile(path);
  const names = properties.get("speaker_names") ?? "";
  return names.split(",").map((name) => name.trim());
}

function speakerId(voice: string, names: readonly string[], count: number): number {
  const named = names.indexOf(voice);
  const number = named >= 0 ? named : /^\d{1,4}$/.test(voice) ? Number(voice) : 0;
  return number < count ? number : 0;
}
