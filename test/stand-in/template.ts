import { ESPEAK_RATE } from "../audio/espeak.ts";
import { type SpeakOptions, utter } from "../audio/speech.ts";
import { DIMENSIONS, features, HOP_MS } from "./features.ts";

/** A phrase to recognise: its words, and how they are spoken unless with the default voice. */
export type Phrase = string | ({ text: string } & Omit<SpeakOptions, "rate">);

/** The words of a phrase, as they are written. */
export function textOf(phrase: Phrase): string {
  return typeof phrase === "string" ? phrase : phrase.text;
}

/** A word of a phrase and the frames of the phrase that it takes: `first` up to before `end`. */
export interface TemplateWord {
  text: string;
  first: number;
  end: number;
}

/** How a phrase sounds. */
export interface Template {
  words: TemplateWord[];
  /** Number of feature frames. */
  length: number;
  /** `length` times `DIMENSIONS` numbers. */
  frames: Float32Array;
}

/**
 * How a phrase sounds when espeak-ng speaks it, and where its words are.
 *
 * @throws Error when nothing can be spoken, or espeak-ng is missing.
 */
export function templateOf(phrase: Phrase): Template {
  const { text, ...options } = typeof phrase === "string" ? { text: phrase } : phrase;
  const { pcm, words } = utter(text, options);
  const list = features(pcm, ESPEAK_RATE);
  if (words.length === 0 || list.length === 0) throw new Error(`nothing to say in "${text}"`);
  const frames = new Float32Array(list.length * DIMENSIONS);
  for (const [index, frame] of list.entries()) frames.set(frame, index * DIMENSIONS);
  const starts = words.map(({ start }) =>
    Math.min(list.length - 1, Math.round((start / ESPEAK_RATE) * (1000 / HOP_MS))),
  );
  return {
    length: list.length,
    frames,
    words: words.map((word, index) => ({
      text: word.text,
      first: index === 0 ? 0 : (starts[index] ?? 0),
      end: starts[index + 1] ?? list.length,
    })),
  };
}
