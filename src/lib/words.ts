import type { Stage } from "../domain/stage.ts";

/** What a page calls each stage. */
export const STAGE_NAMES: Readonly<Record<Stage, string>> = {
  stt: "Speech recognition",
  llm: "Language model",
  tts: "Voice",
};

/** What a sentence calls each stage. */
export const STAGE_NOUNS: Readonly<Record<Stage, string>> = {
  stt: "speech recognition",
  llm: "the language model",
  tts: "the voice",
};

/** `940 kB`, `44 MB`, `1.1 GB`: decimal units, as disks and downloads are counted. */
export function formatBytes(bytes: number): string {
  if (bytes < 1e6) return `${Math.ceil(bytes / 1000)} kB`;
  if (bytes < 1e9) return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
  return `${(bytes / 1e9).toFixed(1)} GB`;
}

/** The entries of a list that a person writes, separated by the commas of any script or by lines. */
export function listed(text: string): string[] {
  const entries = text.split(/[,،、，\n]/).map((entry) => entry.trim());
  return [...new Set(entries)].filter((entry) => entry !== "");
}

const LETTER = /\p{L}/gu;
const RIGHT_TO_LEFT =
  /[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u;

/**
 * The attribute `dir` of a text: `auto`, which lets the first letter decide, unless most letters run
 * the other way, as in an Arabic sentence that begins with a Latin name.
 */
export function directionOf(text: string): "auto" | "ltr" | "rtl" {
  const runs = (text.match(LETTER) ?? []).map((letter) => RIGHT_TO_LEFT.test(letter));
  const rightToLeft = runs.filter((isRightToLeft) => isRightToLeft).length;
  if (rightToLeft * 2 === runs.length) return "auto";
  const most = rightToLeft * 2 > runs.length;
  if (runs[0] === most) return "auto";
  return most ? "rtl" : "ltr";
}

/** The text with a capital at its beginning, for the start of a sentence. */
export function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Time since the start of a conversation: `0:07`, `12:34` or `1:02:03`. */
export function formatElapsed(ms: number): string {
  const total = Math.max(0, Math.floor(ms / 1000));
  const seconds = String(total % 60).padStart(2, "0");
  const minutes = Math.floor(total / 60) % 60;
  const hours = Math.floor(total / 3600);
  if (hours === 0) return `${minutes}:${seconds}`;
  return `${hours}:${String(minutes).padStart(2, "0")}:${seconds}`;
}
