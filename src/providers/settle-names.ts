import { isOpenAi, type ProviderEndpoint, type Stage } from "../domain/stage.ts";
import { type ListedName, modelsFor } from "./name-list.ts";

/** OpenAI's models and voice, which are requested where nothing else is chosen or listed. */
const DEFAULT_MODELS: Readonly<Record<Stage, readonly string[]>> = {
  stt: ["gpt-4o-mini-transcribe", "whisper-1"],
  llm: ["gpt-4o-mini"],
  tts: ["gpt-4o-mini-tts", "tts-1"],
};
const DEFAULT_VOICE = "alloy";

/** A server and the names that are wished for; undefined, or OpenAI's defaults: none. */
export interface Wish extends ProviderEndpoint {
  model?: string | undefined;
  voice?: string | undefined;
}

/** How a wished name fits what a server lists. */
export type Settled =
  /** The name to request; undefined: the default. */
  | { name: string | undefined }
  /** The server has several, and none was chosen. */
  | { choose: string[] }
  /** The name is not listed; the nearest that are. */
  | { unlisted: string; near: string[]; isTypo: boolean };

/** Settles the model of a stage with what its server lists; a default counts as no wish. */
export function settleModel(
  stage: Stage,
  baseURL: string,
  wish: string | undefined,
  models: readonly ListedName[] | undefined,
): Settled {
  if (models === undefined || models.length === 0 || isOpenAi(baseURL)) return { name: wish };
  const all = models.map(({ name }) => name);
  const offered = modelsFor(stage, models);
  const listedDefault = DEFAULT_MODELS[stage].find((name) => all.includes(name));
  const wished = wish !== undefined && !DEFAULT_MODELS[stage].includes(wish);
  if (wished) return fitting(wish, all, offered);
  if (wish !== undefined && all.includes(wish)) return { name: wish };
  // Which of OpenAI's recognisers depends on how the server is reached.
  if (stage === "stt" && listedDefault === DEFAULT_MODELS.stt[0]) return { name: wish };
  if (listedDefault !== undefined) return { name: listedDefault };
  return offered.length === 1 ? { name: offered[0] } : { choose: offered };
}

/** Settles the voice with those that a server lists; the default counts as no wish. */
export function settleVoice(
  baseURL: string,
  wish: string | undefined,
  voices: readonly string[] | undefined,
): Settled {
  if (voices === undefined || voices.length === 0 || isOpenAi(baseURL)) return { name: wish };
  if (wish !== undefined && voices.includes(wish)) return { name: wish };
  if (wish !== undefined && wish !== DEFAULT_VOICE) {
    // Kokoro mixes voices, with weights: af_bella(2)+af_sky(1).
    const parts = wish.split("+").map((part) => part.replace(/\([\d.]+\)$/, "").trim());
    if (parts.length > 1 && parts.every((part) => voices.includes(part))) return { name: wish };
    return fitting(wish, voices, voices);
  }
  return voices.length === 1 ? { name: voices[0] } : { choose: [...voices] };
}

/** The wish without OpenAI's names where another server may have others. */
export function withoutGuesses(stage: Stage, wish: Wish): Wish {
  const { baseURL, apiKey, model, voice } = wish;
  if (isOpenAi(baseURL)) return wish;
  return {
    baseURL,
    apiKey,
    model: model !== undefined && DEFAULT_MODELS[stage].includes(model) ? undefined : model,
    voice: voice === DEFAULT_VOICE ? undefined : voice,
  };
}

/** The voice that sounds most like the default, where nobody can be asked. */
export function likelyVoice(voices: readonly string[]): string | undefined {
  const likely = [/alloy/i, /heart/i, /^(af|am|bf|bm)_/, /(^|[^a-z])en([-_]|$)/i];
  for (const pattern of likely) {
    const found = voices.find((voice) => pattern.test(voice));
    if (found !== undefined) return found;
  }
  return voices[0];
}

function fitting(wish: string, all: readonly string[], offered: readonly string[]): Settled {
  const plain = plainName(wish);
  const found = all.find((name) => name === wish) ?? all.find((name) => plainName(name) === plain);
  if (found !== undefined) return { name: found };
  const ranked = (offered.length > 0 ? offered : all)
    .map((name) => ({ name, distance: distance(plainName(name), plain) }))
    .sort((a, b) => a.distance - b.distance);
  const isTypo = (ranked[0]?.distance ?? Number.POSITIVE_INFINITY) <= Math.ceil(plain.length / 4);
  return { unlisted: wish, near: ranked.slice(0, 3).map(({ name }) => name), isTypo };
}

/** Without what servers add to the same model: Ollama's `:latest`, Google's `models/`, capitals. */
function plainName(name: string): string {
  return name
    .toLowerCase()
    .replace(/^models\//, "")
    .replace(/:latest$/, "");
}

/** How many characters have to be inserted, removed or replaced (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (b[j - 1] === letter ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
