import { detectedLanguage } from "../domain/language.ts";
import { fieldOf, parseJson } from "../lib/json.ts";
import { AnswerError, webPageError } from "./provider-errors.ts";

/** What a server recognised. */
export interface Transcript {
  /** Empty where the server heard no speech. */
  text: string;
  /** The language that it heard, as a BCP 47 tag, if it tells. */
  language?: string | undefined;
}

/** Where servers put the text; OpenAI's is the first. The order decides. */
const TEXT_FIELDS = [
  "text",
  "transcript",
  "transcription",
  "result",
  "results",
  "output",
  "data",
  "channels",
  "alternatives",
  "segments",
  "chunks",
];
const LANGUAGE_FIELDS = ["language", "detected_language", "lang", "languages", "code"];
const MAX_DEPTH = 6;
/** Control characters, which bytes hold that are no text. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const NO_TEXT = /[\u0000-\u0008\u000E-\u001F]/;

/** From these figures of a segment on, Whisper itself takes it for silence. */
const NO_SPEECH = { probability: 0.6, logprob: -1 };

/**
 * Reads the body of a transcription as servers send it: OpenAI's JSON and its relatives, events of
 * a stream, lines of JSON, subtitles, or the bare text.
 *
 * @throws AnswerError when it is an error or nothing that holds a transcript
 */
export function readTranscript(body: string): Transcript {
  const text = body.replace(/^\uFEFF/, "").trim();
  const json = parsed(text);
  if (json !== undefined) return fromJson(json);
  const events = eventsIn(text);
  if (events !== undefined) return fromEvents(events);
  if (/^<(?:!doctype|html|head|body|\?xml)/i.test(text)) throw webPageError();
  // JSON that was cut is no text.
  if (/^[{[]\s*"/.test(text)) throw new AnswerError("cut");
  if (NO_TEXT.test(text)) throw new AnswerError("error_body");
  return { text: withoutTimes(text) };
}

function fromJson(json: unknown): Transcript {
  const failure = [fieldOf(json, "error"), fieldOf(json, "errors")].find(isFailure);
  const text = textIn(json, 0);
  if (failure !== undefined && !text) throw new AnswerError("error_body");
  if (text === undefined) throw new AnswerError("error_body");
  return { text, language: languageIn(json, 0) };
}

function isFailure(value: unknown): boolean {
  return Array.isArray(value) ? value.length > 0 : Boolean(value);
}

/** OpenAI streams `transcript.text.delta` and `.done`; others an object with the text of a part. */
function fromEvents(events: readonly unknown[]): Transcript {
  const done = events.findLast((event) => String(fieldOf(event, "type")).endsWith(".done"));
  if (done !== undefined) return fromJson(done);
  const deltas = events.map(deltaOf).filter((delta) => typeof delta === "string");
  if (deltas.length > 0) return { text: deltas.join("").trim() };
  const parts = events.map(fromJson);
  const text = parts
    .map((part) => part.text)
    .filter(Boolean)
    .join(" ");
  return { text, language: parts.find(({ language }) => language !== undefined)?.language };
}

/** The next part of a text, as OpenAI sends it, or vLLM in the form of a chat. */
function deltaOf(event: unknown): unknown {
  const choices = fieldOf(event, "choices");
  const [first] = Array.isArray(choices) ? choices : [];
  return fieldOf(event, "delta") ?? fieldOf(fieldOf(first, "delta"), "content");
}

/** The data of server-sent events, or lines of JSON; undefined for any other text. */
function eventsIn(text: string): unknown[] | undefined {
  const lines = text.split(/\r\n|\r|\n/).filter((line) => line.trim() !== "");
  if (lines.some((line) => /^data:/.test(line))) {
    const data = lines.flatMap((line) => /^data:\s?(.*)$/.exec(line)?.slice(1) ?? []);
    const events = data.filter((one) => one.trim() !== "[DONE]").map(parsed);
    return events.filter((event) => event !== undefined);
  }
  const objects = lines.map(parsed);
  const isLines = lines.length > 1 && objects.every((one) => typeof one === "object");
  return isLines ? objects : undefined;
}

/** The text in a value; undefined if it has none, empty if it is null. */
function textIn(value: unknown, depth: number): string | undefined {
  if (typeof value === "string") return value.trim();
  if (depth > MAX_DEPTH || typeof value !== "object" || value === null) return undefined;
  if (Array.isArray(value)) {
    const texts = value.filter((one) => !isSilence(one)).map((one) => textIn(one, depth + 1));
    if (value.length > 0 && texts.length > 0 && texts.every((one) => one === undefined)) {
      return undefined;
    }
    return texts.filter(Boolean).join(" ");
  }
  const segments = fieldOf(value, "segments");
  if (Array.isArray(segments) && segments.some(isSilence)) return textIn(segments, depth + 1);
  let isEmpty = false;
  for (const name of TEXT_FIELDS) {
    if (!(name in value)) continue;
    const found = textIn(fieldOf(value, name), depth + 1);
    if (found) return found;
    if (found === "" || fieldOf(value, name) === null) isEmpty = true;
  }
  return isEmpty ? "" : undefined;
}

function isSilence(segment: unknown): boolean {
  const probability = fieldOf(segment, "no_speech_prob");
  const logprob = fieldOf(segment, "avg_logprob");
  return (
    typeof probability === "number" &&
    typeof logprob === "number" &&
    probability > NO_SPEECH.probability &&
    logprob < NO_SPEECH.logprob
  );
}

function languageIn(value: unknown, depth: number): string | undefined {
  if (typeof value === "string") return detectedLanguage(value);
  if (depth > MAX_DEPTH || typeof value !== "object" || value === null) return undefined;
  if (Array.isArray(value)) return languageIn(value[0], depth + 1);
  for (const name of LANGUAGE_FIELDS) {
    const found = languageIn(fieldOf(value, name), depth + 1);
    if (found !== undefined) return found;
  }
  const inner = ["result", "results", "data", "output"].map((name) => fieldOf(value, name));
  return inner
    .filter((one) => typeof one === "object")
    .map((one) => languageIn(one, depth + 1))
    .find((language) => language !== undefined);
}

/** WebVTT and SRT without their header, numbers and times. */
function withoutTimes(text: string): string {
  if (!text.includes("-->")) return text;
  return text
    .split(/\r\n|\r|\n/)
    .map((line) => line.replace(/^\[[^\]]*-->[^\]]*\]\s*/, ""))
    .filter((line) => !/^WEBVTT|-->|^\d+$/.test(line))
    .map((line) => line.trim())
    .filter(Boolean)
    .join(" ");
}

/** JSON, or undefined for what is none; a bare number may be what somebody said. */
function parsed(text: string): unknown {
  if (!/^[{["]/.test(text)) return undefined;
  return parseJson(text);
}
