import { readFile } from "node:fs/promises";
import type { GenerationConfig } from "sherpa-onnx-node";
import type { EngineSettings } from "../domain/engine-settings.ts";
import type { LocalTtsModel } from "../domain/model.ts";
import { type Speaker, speakerNumber } from "../domain/speaker.ts";
import { messageOf } from "../errors.ts";
import { speakersOf, withTranscript } from "../lib/speakers.ts";
import { floatsOf, pcmFrom, readWav } from "../lib/wav.ts";
import { languageOf } from "../spoken-text/language.ts";
import { sentences } from "../spoken-text/sentences.ts";
import { FairQueue } from "./fair-queue.ts";
import { runtimeConfig, type Sherpa } from "./native-libraries.ts";
import { refusal } from "./openai-http.ts";
import { threadsFor } from "./threads.ts";
import { voiceFiles } from "./voice-files.ts";
import { spokenLanguage } from "./voice-language.ts";

/** The sample rate of OpenAI's speech in Hz, to which every voice is resampled. */
export const SPEECH_RATE = 24_000;

/** The library's own factor for the pauses within a text, and its number of steps. */
const SILENCE_SCALE = 0.2;
const STEPS = 5;

export interface SpeakOptions {
  /** A speaker of the model, by id, name or number; empty: the first. */
  voice: string;
  /** A BCP 47 tag, for voices of several languages; undefined: the speaker's, or the text's. */
  language?: string | undefined;
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
   * @throws Failure `invalid`, at once, for a speaker that the model does not have; later the
   *   signal's reason
   */
  speak(text: string, options: SpeakOptions): AsyncGenerator<Int16Array>;
}

/** @throws Error of sherpa-onnx, which explains little: call `checkModelFiles` before */
export async function loadVoice(
  sherpa: Sherpa,
  model: LocalTtsModel,
  { threads }: Partial<Pick<EngineSettings, "threads">> = {},
): Promise<Voice> {
  const files = voiceFiles(model);
  const tts = await sherpa.OfflineTts.createAsync({
    ...files,
    model: { ...runtimeConfig(threadsFor("tts", threads)), ...files.model },
    maxNumSentences: 1,
  });
  const speakers = await speakersOf(model);
  const recordings = await recordingsOf(model);
  const queue = new FairQueue();

  async function* synthesise(pieces: readonly string[], config: GenerationConfig, turn: Turn) {
    const { client, signal } = turn;
    const resampler = new sherpa.LinearResampler(tts.sampleRate, SPEECH_RATE);
    for (const text of pieces) {
      // Each piece waits for its own turn, so that a long text does not delay the others' short ones.
      const { samples } = await queue.run(
        client,
        () =>
          tts
            .generateAsync({
              text,
              generationConfig: config,
              enableExternalBuffer: false,
              onProgress: () => (signal.aborted ? 0 : 1),
            })
            .catch(asSilence),
        signal,
      );
      signal.throwIfAborted();
      yield pcmFrom(resampler.resample(samples));
    }
    yield pcmFrom(resampler.flush(new Float32Array()));
  }

  return {
    speak(text, { voice, language, speed, ...turn }) {
      const { speaker, sid } = chosenSpeaker(speakers, voice);
      const wanted = { text, speaker, language };
      const lang = spokenLanguage(model, wanted, (written) => languageOf(written, null));
      const config: GenerationConfig = {
        sid: recordings === undefined ? sid : 0,
        speed,
        silenceScale: SILENCE_SCALE,
        numSteps: STEPS,
        ...recordings?.[sid],
        ...(lang && { extra: { lang } }),
      };
      return synthesise(sentences(text), config, turn);
    },
  };
}

/** A piece in letters that the voice cannot read is no reason to leave the others out. */
function asSilence(error: unknown): { samples: Float32Array } {
  if (/produced no audio/.test(messageOf(error))) return { samples: new Float32Array() };
  throw error;
}

type Turn = Pick<SpeakOptions, "client" | "signal">;

const MAX_LISTED = 60;

/** @throws Failure that lists the speakers there are */
function chosenSpeaker(speakers: readonly Speaker[], voice: string) {
  const sid = speakerNumber(speakers, voice);
  const speaker = sid === undefined ? undefined : speakers[sid];
  if (sid !== undefined && speaker !== undefined) return { sid, speaker };
  const ids = speakers.slice(0, MAX_LISTED).map(({ id }) => id);
  const more = speakers.length > ids.length ? ` and ${speakers.length - ids.length} more` : "";
  throw refusal(
    "invalid",
    `There is no voice ${JSON.stringify(voice)} here. There are: ${ids.join(", ")}${more}.`,
    { param: "voice", code: "voice_not_found" },
  );
}

/** What a voice that speaks like a recording is given for each speaker. */
async function recordingsOf(
  model: LocalTtsModel,
): Promise<Partial<GenerationConfig>[] | undefined> {
  if (model.kind === "pocket") return Promise.all(model.references.map((path) => recording(path)));
  if (model.kind !== "zipvoice") return undefined;
  return Promise.all(
    withTranscript(model).map(async ({ reference, transcript }) => ({
      ...(await recording(reference)),
      referenceText: (await readFile(transcript, "utf8")).trim(),
    })),
  );
}

async function recording(path: string) {
  const { pcm, rate } = readWav(await readFile(path));
  return { referenceAudio: floatsOf(pcm), referenceSampleRate: rate };
}
