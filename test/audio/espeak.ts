import { dlopen, JSCallback, type Pointer, ptr, read, suffix, toArrayBuffer } from "bun:ffi";

/** Sample rate in Hz of everything that espeak-ng speaks. */
export const ESPEAK_RATE = 22_050;

/** A stretch of speech that belongs to one or more words that espeak-ng speaks as one. */
export interface SpokenWord {
  /** The words as they were written, punctuation included; "of the" can be one entry. */
  text: string;
  /** First sample of the word, at `ESPEAK_RATE`. */
  start: number;
}

/** What espeak-ng made of a text. */
export interface Utterance {
  /** Mono PCM at `ESPEAK_RATE`. */
  pcm: Int16Array;
  words: SpokenWord[];
}

/** How to speak: an espeak-ng voice with an optional variant, such as `en-us+f3`. */
export interface EspeakOptions {
  voice: string;
  wordsPerMinute: number;
}

// Values and layout from espeak-ng's `speak_lib.h`.
const AUDIO_OUTPUT_SYNCHRONOUS = 2;
const INITIALIZE_DONT_EXIT = 0x8000;
const PARAMETER_RATE = 1;
const POSITION_CHARACTER = 1;
const CHARS_UTF8 = 1;
const EVENT_LIST_TERMINATED = 0;
const EVENT_WORD = 1;
const EVENT_SIZE = 40;
const EVENT_TEXT_POSITION = 8;
const EVENT_LENGTH = 12;
const EVENT_SAMPLE = 20;

interface WordEvent {
  /** Offset in the text, in characters. */
  position: number;
  sample: number;
}

interface Collected {
  chunks: Int16Array[];
  events: WordEvent[];
}

type Library = ReturnType<typeof openLibrary>;

function openLibrary() {
  const symbols = {
    espeak_Initialize: { args: ["i32", "i32", "ptr", "i32"], returns: "i32" },
    espeak_SetSynthCallback: { args: ["ptr"], returns: "void" },
    espeak_SetVoiceByName: { args: ["ptr"], returns: "i32" },
    espeak_SetParameter: { args: ["i32", "i32", "i32"], returns: "i32" },
    espeak_Synth: {
      args: ["ptr", "usize", "u32", "i32", "u32", "u32", "ptr", "ptr"],
      returns: "i32",
    },
  } as const;
  const names = [`libespeak-ng.${suffix}.1`, `libespeak-ng.1.${suffix}`, `libespeak-ng.${suffix}`];
  for (const name of names) {
    try {
      return dlopen(name, symbols).symbols;
    } catch {
      // The name differs between systems; the error below tells about all of them.
    }
  }
  throw new Error(`espeak-ng is needed for spoken tests: found none of ${names.join(", ")}`);
}

/** One per process: the library keeps its voice and its callback in global state. */
let engine: { library: Library; collected: Collected; callback: JSCallback } | undefined;

function openEngine() {
  const library = openLibrary();
  const rate = library.espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, null, INITIALIZE_DONT_EXIT);
  if (rate !== ESPEAK_RATE) throw new Error(`espeak-ng did not start (answer ${rate})`);
  const collected: Collected = { chunks: [], events: [] };
  const callback = new JSCallback(
    (wave: Pointer | null, samples: number, events: Pointer) => {
      if (wave !== null && samples > 0) {
        collected.chunks.push(new Int16Array(toArrayBuffer(wave, 0, samples * 2).slice(0)));
      }
      for (let offset = 0; ; offset += EVENT_SIZE) {
        const type = read.i32(events, offset);
        if (type === EVENT_LIST_TERMINATED) return 0;
        if (type !== EVENT_WORD || read.i32(events, offset + EVENT_LENGTH) === 0) continue;
        collected.events.push({
          position: read.i32(events, offset + EVENT_TEXT_POSITION) - 1,
          sample: read.i32(events, offset + EVENT_SAMPLE),
        });
      }
    },
    { args: ["ptr", "i32", "ptr"], returns: "i32" },
  );
  library.espeak_SetSynthCallback(callback.ptr);
  return { library, collected, callback };
}

/**
 * Speaks a text with libespeak-ng and tells where each word begins.
 *
 * The library is called in this process because only its events carry word timings (the
 * `espeak-ng` command does not print them), and because a sentence then takes about 3 ms.
 * The same text and options always give the same samples.
 *
 * @throws Error when libespeak-ng is not installed, or does not know the voice.
 */
export function synthesise(text: string, options: EspeakOptions): Utterance {
  engine ??= openEngine();
  const { library, collected } = engine;
  collected.chunks = [];
  collected.events = [];
  if (library.espeak_SetVoiceByName(ptr(cString(options.voice))) !== 0) {
    throw new Error(`espeak-ng has no voice "${options.voice}"`);
  }
  library.espeak_SetParameter(PARAMETER_RATE, Math.round(options.wordsPerMinute), 0);
  const bytes = cString(text);
  const failed = library.espeak_Synth(
    ptr(bytes),
    bytes.length,
    0,
    POSITION_CHARACTER,
    0,
    CHARS_UTF8,
    null,
    null,
  );
  if (failed !== 0) throw new Error(`espeak-ng could not speak "${text}" (error ${failed})`);
  return { pcm: concat(collected.chunks), words: wordsOf(text, collected.events) };
}

function cString(text: string): Buffer {
  return Buffer.from(`${text}\0`);
}

function concat(chunks: Int16Array[]): Int16Array {
  const out = new Int16Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    out.set(chunk, at);
    at += chunk.length;
  }
  return out;
}

/** Joins the events to the written words; a word without an event is spoken with the one before. */
function wordsOf(text: string, events: WordEvent[]): SpokenWord[] {
  const words: SpokenWord[] = [];
  for (const match of text.matchAll(/\S+/g)) {
    const end = match.index + match[0].length;
    const event = events.find(({ position }) => position >= match.index && position < end);
    const previous = words.at(-1);
    if (event !== undefined) words.push({ text: match[0], start: event.sample });
    else if (previous !== undefined) previous.text += ` ${match[0]}`;
    else words.push({ text: match[0], start: 0 });
  }
  return words;
}
