import { statSync } from "node:fs";
import { join } from "node:path";
import type { LocalTtsModel } from "../domain/model.ts";
import type { Speaker } from "../domain/speaker.ts";
import { refusal } from "./openai-http.ts";

/** Kokoro's languages: the name of espeak-ng's file for each, which is no tag, and what it reads. */
const KOKORO: Readonly<Record<string, { voice: string; files: readonly string[] }>> = {
  "en-US": { voice: "en-us", files: ["en_dict", "lang/gmw/en-US"] },
  "en-GB": { voice: "en", files: ["en_dict", "lang/gmw/en"] },
  es: { voice: "es", files: ["es_dict", "lang/roa/es"] },
  fr: { voice: "fr", files: ["fr_dict", "lang/roa/fr"] },
  hi: { voice: "hi", files: ["hi_dict", "lang/inc/hi"] },
  it: { voice: "it", files: ["it_dict", "lang/roa/it"] },
  ja: { voice: "ja", files: ["ja_dict", "lang/jpx/ja"] },
  "pt-BR": { voice: "pt-br", files: ["pt_dict", "lang/roa/pt-BR"] },
  zh: { voice: "cmn", files: ["cmn_dict", "lang/sit/cmn"] },
};

const SUPERTONIC = new Set(
  (
    "en ko ja ar bg cs da de el es et fi fr hi hr hu id it lt lv nl pl pt ro ru sk sl sv tr uk " +
    "vi"
  ).split(" "),
);

/** Letters that tell the language of a text, the most telling first. */
const LETTERS: readonly [RegExp, string][] = [
  [/\p{Script=Hangul}/u, "ko"],
  [/[\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Han}]/u, "ja"],
  [/\p{Script=Devanagari}/u, "hi"],
  [/\p{Script=Arabic}/u, "ar"],
  [/\p{Script=Greek}/u, "el"],
  [/[іїєґ]/iu, "uk"],
  [/\p{Script=Cyrillic}/u, "ru"],
];

export interface LanguageWish {
  text: string;
  speaker: Speaker;
  /** A BCP 47 tag; undefined: the speaker's language, or that of the text. */
  language: string | undefined;
}

/**
 * The language that a multilingual voice is set to, by its own name; undefined for a voice of one
 * language. A language that the voice does not speak counts as none.
 *
 * @param detect finds the language of a text in Latin letters
 * @throws Failure `invalid` if the model's files lack what the language needs
 */
export function spokenLanguage(
  model: LocalTtsModel,
  { text, speaker, language }: LanguageWish,
  detect: (text: string) => string | null,
): string | undefined {
  if (model.kind === "supertonic") {
    const wished = primaryOf(language ?? "");
    if (SUPERTONIC.has(wished)) return wished;
    const found = LETTERS.find(([letters]) => letters.test(text))?.[1] ?? detect(text) ?? "en";
    return SUPERTONIC.has(found) ? found : "en";
  }
  if (model.kind !== "kokoro") return undefined;
  const tag = kokoroLanguage(language) ?? kokoroLanguage(speaker.language) ?? "en-US";
  const { voice, files } = KOKORO[tag] ?? { voice: "en-us", files: [] };
  const missing = files.find((file) => !isThere(join(model.phonemes, file)));
  const isWordless = tag === "zh" && !model.lexicons?.some((path) => /zh/.test(path));
  if (missing === undefined && !isWordless) return voice;
  throw refusal(
    "invalid",
    `The files of ${model.id} lack what it needs to speak ${tag}: ${missing ?? "lexicon-zh.txt"}.`,
    { param: language === undefined ? "voice" : "language" },
  );
}

function kokoroLanguage(tag: string | undefined): string | undefined {
  if (tag === undefined) return undefined;
  const tags = Object.keys(KOKORO);
  const exact = tags.find((one) => one.toLowerCase() === tag.toLowerCase());
  return exact ?? tags.find((one) => primaryOf(one) === primaryOf(tag));
}

function primaryOf(tag: string): string {
  return tag.toLowerCase().split("-")[0] ?? "";
}

function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}
