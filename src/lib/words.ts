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
