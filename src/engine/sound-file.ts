import { openSound } from "../audio/open-sound.ts";
import { NotPlayable } from "../audio/sound-decoder.ts";
import { floatsOf } from "../lib/wav.ts";
import { type AudioTools, RECOGNISER_RATE, type Resampler } from "./audio-tools.ts";
import { refusal } from "./openai-http.ts";
import type { Denoiser } from "./recogniser.ts";
import { concatenated } from "./speech-spans.ts";

/** Rates of real recordings, in Hz; another one is a sign of a broken header. */
const RATES = { min: 4000, max: 192_000 };
/** A file of the greatest size may hold days of silence. */
const MAX_SECONDS = 4 * 3600;
/** Samples that are passed on at once. */
const PIECE = RECOGNISER_RATE / 2;

/**
 * Decodes a recording, piece by piece and no faster than the pieces are read.
 *
 * @param denoiser cleans it, where noise is to be suppressed
 * @returns samples at `RECOGNISER_RATE`
 * @throws Failure `invalid` that says which formats are read, or what is wrong with this file
 */
export async function* readSound(
  file: File,
  tools: AudioTools,
  denoiser: Denoiser | undefined,
): AsyncGenerator<Float32Array, void, undefined> {
  const clean = (samples: Float32Array) => (denoiser ? denoiser.push(samples) : samples);
  let pending = new Float32Array();
  let seconds = 0;
  for await (const samples of resampled(file, tools)) {
    pending = concatenated(pending, samples);
    if (pending.length < PIECE) continue;
    seconds += pending.length / RECOGNISER_RATE;
    if (seconds > MAX_SECONDS) {
      throw refused(`is longer than ${MAX_SECONDS / 3600} hours; cut it into parts`);
    }
    yield clean(pending);
    pending = new Float32Array();
  }
  if (pending.length > 0) yield clean(pending);
  if (denoiser) yield denoiser.flush();
}

async function* resampled(file: File, tools: AudioTools) {
  let resampler: Resampler | undefined;
  let rate = 0;
  for await (const piece of decoded(file)) {
    if (piece.rate !== rate || !resampler) {
      if (resampler) yield resampler.flush(new Float32Array());
      resampler = tools.resampler(piece.rate, RECOGNISER_RATE);
      rate = piece.rate;
    }
    yield resampler.resample(floatsOf(piece.pcm));
  }
  if (resampler) yield resampler.flush(new Float32Array());
}

async function* decoded(file: File) {
  try {
    const { format, pieces } = await openSound(file.stream(), file.type);
    // Bytes without a header may be anything.
    if (format === "PCM") throw new NotPlayable("format", "no recording in a known format");
    for await (const piece of pieces) {
      if (piece.rate < RATES.min || piece.rate > RATES.max) {
        throw refused(`has ${piece.rate} samples a second; 4,000 to 192,000 are read`);
      }
      yield piece;
    }
  } catch (error) {
    if (!(error instanceof NotPlayable)) throw error;
    throw refused(reasonOf(error));
  }
}

const READ = "This engine reads wav, mp3, flac, ogg, opus and webm files.";

function reasonOf({ reason, what }: NotPlayable): string {
  if (reason === "empty") return "is empty";
  if (what === "MP4" || what === "AAC") {
    return `is ${what}, whose sound (AAC) this engine cannot decode. Convert it: ffmpeg -i in.m4a out.mp3`;
  }
  return `is ${what ?? "no recording"}. ${READ}`;
}

function refused(why: string) {
  return refusal("invalid", `file: it ${why}${why.endsWith(".") ? "" : "."}`, {
    param: "file",
    code: "unsupported_file",
  });
}
