import type { Stage } from "../domain/stage.ts";
import { isObject } from "../lib/json.ts";

/** What a model is for, as far as its name or its server tells. */
export type ModelKind = Stage | "other" | "unknown";

/** A model or a voice that a server lists. */
export interface ListedName {
  name: string;
  kind: ModelKind;
}

/** One answer of a server that lists names. */
export interface NameList {
  entries: ListedName[];
  /** The query or the address of the next page. */
  next: string | undefined;
}

/** The fields that hold a name, the one to be sent in requests first. */
const NAME_FIELDS = ["id", "model", "name", "voice_id", "voice", "key", "slug"];
/** The fields that hold a list; servers put one into another. */
const LIST_FIELDS = ["data", "models", "voices", "items", "results", "list", "available"];
const MAX_NAME = 256;
const MAX_DEPTH = 3;

/**
 * Reads a list of models or voices in any of the forms that servers use: OpenAI's, Ollama's, plain
 * lists of names, lists within lists, objects by name.
 *
 * @returns undefined when the answer holds no list
 */
export function readNames(answer: unknown): NameList | undefined {
  const entries = entriesOf(answer, 0);
  if (entries === undefined) return undefined;
  const named = new Map(entries.map((entry) => [entry.name, entry]));
  return { entries: [...named.values()], next: nextPage(answer, entries) };
}

function entriesOf(value: unknown, depth: number): ListedName[] | undefined {
  if (Array.isArray(value)) return value.flatMap((entry) => entryOf(entry) ?? []);
  if (!isObject(value) || depth > MAX_DEPTH) return undefined;
  for (const field of LIST_FIELDS) {
    // A server without any model may send null.
    if (field in value && value[field] === null) return [];
    const entries = entriesOf(value[field], depth + 1);
    if (entries !== undefined) return entries;
  }
  // Names with what belongs to each, below a field that says that it is a list.
  const parts = Object.entries(value);
  if (depth === 0 || !parts.every(([, about]) => isObject(about))) return undefined;
  return parts.flatMap(([name, about]) => entryOf({ ...Object(about), id: name }) ?? []);
}

function entryOf(value: unknown): ListedName | undefined {
  if (typeof value === "string") return named(value, []);
  if (!isObject(value)) return undefined;
  const name = NAME_FIELDS.map((field) => value[field]).find((text) => typeof text === "string");
  const about = ["type", "task", "pipeline_tag", "kind", "mode"].map((field) => value[field]);
  return typeof name === "string" ? named(name, [...about, value["capabilities"]]) : undefined;
}

function named(text: string, about: readonly unknown[]): ListedName | undefined {
  const name = text.trim();
  if (name === "" || name.length > MAX_NAME || /\p{Cc}/u.test(name)) return undefined;
  return { name, kind: toldKind(about) ?? kindByName(name) };
}

/** What servers call the kinds; LM Studio, Speaches, Together and LiteLLM say it. */
const TOLD: readonly (readonly [RegExp, ModelKind])[] = [
  [/embed|rerank|image|moderation|vision-encoder/, "other"],
  [/speech-recognition|transcri|speech-to-text|^stt$|^asr$/, "stt"],
  [/text-to-speech|text-to-audio|^tts$|audio_speech|^speech$/, "tts"],
  [/^(llm|vlm|chat|completion|language|text-generation|chat-completion)$/, "llm"],
];

function toldKind(about: readonly unknown[]): ModelKind | undefined {
  const words = about.flat().filter((word) => typeof word === "string");
  return TOLD.find(([pattern]) => words.some((word) => pattern.test(word.toLowerCase())))?.[1];
}

/** Names of models that are no language model; a language model may be called anything. */
const NAMED: readonly (readonly [RegExp, ModelKind])[] = [
  [/embed|\bbge\b|\bgte\b|minilm|rerank|dall-?e|stable-diffusion|sdxl|moderation/, "other"],
  [/(^|[-/_.])(e5|image|sora|vad|silero)([-/_.]|$)/, "other"],
  [/whisper|transcri|parakeet|moonshine|sensevoice|paraformer|vosk|canary|zipformer/, "stt"],
  [/(^|[-/_.])(asr|stt)([-/_.0-9]|$)/, "stt"],
  [/(^|[-/_.])x?tts([-/_.0-9]|$)|kokoro|piper|orpheus|chatterbox|bark|parler|melotts/, "tts"],
  [/cosyvoice|fish-speech|styletts|outetts|zonos|vits|text-to-speech|supertonic/, "tts"],
];

function kindByName(name: string): ModelKind {
  const lower = name.toLowerCase();
  return NAMED.find(([pattern]) => pattern.test(lower))?.[1] ?? "unknown";
}

/** The models that may serve a stage: those that are known to, or else those of unknown kind. */
export function modelsFor(stage: Stage, models: readonly ListedName[]): string[] {
  const named = (kinds: readonly ModelKind[]) =>
    models.filter(({ kind }) => kinds.includes(kind)).map(({ name }) => name);
  if (stage === "llm") return named(["llm", "unknown"]);
  const known = named([stage]);
  return known.length > 0 ? known : named(["unknown"]);
}

function nextPage(answer: unknown, entries: readonly ListedName[]): string | undefined {
  if (!isObject(answer)) return undefined;
  const token = answer["nextPageToken"] ?? answer["next_page_token"];
  if (typeof token === "string" && token !== "") return `?pageToken=${encodeURIComponent(token)}`;
  if (answer["has_more"] === true) {
    const last = answer["last_id"] ?? entries.at(-1)?.name;
    return typeof last === "string" ? `?after=${encodeURIComponent(last)}` : undefined;
  }
  const { next } = answer;
  return typeof next === "string" && next !== "" ? next : undefined;
}
