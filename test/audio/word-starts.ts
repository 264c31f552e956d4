import { dlopen, JSCallback, type Pointer, ptr, read, suffix } from "bun:ffi";
import type { EspeakOptions, SpokenWord } from "./espeak.ts";

// Run as a script, with a text, a voice and a speed as arguments, this prints the words of the text
// as espeak-ng speaks it and where each begins, as JSON. It is a process of its own because the
// library, once it has spoken, speaks the next text with other noise and slightly other timing.

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

/** Where espeak-ng begins each word of a text; samples at the rate of espeak-ng. */
function wordsOf(text: string, options: EspeakOptions): SpokenWord[] {
  const library = openLibrary();
  const rate = library.espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, null, INITIALIZE_DONT_EXIT);
  if (rate <= 0) throw new Error(`espeak-ng did not start (answer ${rate})`);
  const words: WordEvent[] = [];
  const callback = new JSCallback(
    (_wave: Pointer | null, _samples: number, events: Pointer) => {
      for (let offset = 0; ; offset += EVENT_SIZE) {
        const type = read.i32(events, offset);
        if (type === EVENT_LIST_TERMINATED) return 0;
        if (type !== EVENT_WORD || read.i32(events, offset + EVENT_LENGTH) === 0) continue;
        words.push({
          position: read.i32(events, offset + EVENT_TEXT_POSITION) - 1,
          sample: read.i32(events, offset + EVENT_SAMPLE),
        });
      }
    },
    { args: ["ptr", "i32", "ptr"], returns: "i32" },
  );
  library.espeak_SetSynthCallback(callback.ptr);
  if (library.espeak_SetVoiceByName(ptr(cString(options.voice))) !== 0) {
    throw new Error(`espeak-ng has no voice "${options.voice}"`);
  }
  library.espeak_SetParameter(PARAMETER_RATE, options.wordsPerMinute, 0);
  const bytes = cString(text);
  const from = [0, POSITION_CHARACTER, 0] as const;
  const failed = library.espeak_Synth(ptr(bytes), bytes.length, ...from, CHARS_UTF8, null, null);
  if (failed !== 0) throw new Error(`espeak-ng could not speak "${text}" (error ${failed})`);
  return joined(text, words);
}

function cString(text: string): Buffer {
  return Buffer.from(`${text}\0`);
}

/** Joins the events to the written words; a word without an event is spoken with the one before. */
function joined(text: string, events: WordEvent[]): SpokenWord[] {
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

if (import.meta.main) {
  const [text = "", voice = "", speed = ""] = Bun.argv.slice(2);
  process.stdout.write(JSON.stringify(wordsOf(text, { voice, wordsPerMinute: Number(speed) })));
}
