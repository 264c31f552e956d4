import { languageName } from "../domain/language.ts";
import { subtitleTime, webVttText } from "../lib/subtitles.ts";
import { type Segment, textOf } from "./utterance.ts";

/** The whole of what was heard in a recording. */
export interface Transcript {
  segments: readonly Segment[];
  /** How long the recording is. */
  seconds: number;
}

/** OpenAI's answer in `json`. */
export function jsonTranscript({ segments, seconds }: Transcript) {
  return { text: textOf(segments), usage: usageOf(seconds) };
}

/** OpenAI's answer in `verbose_json`. @param times which times it tells */
export function verboseTranscript(
  { segments, seconds }: Transcript,
  times: ReadonlySet<"word" | "segment">,
) {
  return {
    task: "transcribe",
    language: languageOf(segments),
    duration: seconds,
    text: textOf(segments),
    ...(times.has("segment") ? { segments: segments.map(segmentObject) } : {}),
    ...(times.has("word") ? { words: segments.flatMap(({ words }) => words ?? []) } : {}),
    usage: usageOf(seconds),
  };
}

export function usageOf(seconds: number) {
  return { type: "duration", seconds: Math.ceil(seconds) };
}

/** The name in lower case, as OpenAI has it; of several the one that was spoken longest. */
function languageOf(segments: readonly Segment[]): string {
  const seconds = new Map<string, number>();
  for (const { language, start, end } of segments) {
    if (language) seconds.set(language, (seconds.get(language) ?? 0) + end - start);
  }
  const [longest] = [...seconds].toSorted((a, b) => b[1] - a[1]);
  return longest ? languageName(longest[0]).toLowerCase() : "unknown";
}

/** A segment of `verbose_json`; recognisers tell none of the figures after `text`. */
function segmentObject({ text, start, end }: Segment, id: number) {
  return {
    id,
    seek: Math.round(start * 100),
    start,
    end,
    text,
    tokens: [],
    temperature: 0,
    avg_logprob: 0,
    compression_ratio: 1,
    no_speech_prob: 0,
  };
}

/** Subtitles in SubRip's format. */
export function srt(segments: readonly Segment[]): string {
  return segments
    .map(({ text, start, end }, i) => {
      const times = `${timeOf(start, ",")} --> ${timeOf(end, ",")}`;
      return `${i + 1}\n${times}\n${text}\n\n`;
    })
    .join("");
}

/** Subtitles in WebVTT (https://www.w3.org/TR/webvtt1/). */
export function vtt(segments: readonly Segment[]): string {
  const cues = segments.map(({ text, start, end }) => {
    return `${timeOf(start, ".")} --> ${timeOf(end, ".")}\n${webVttText(text)}\n\n`;
  });
  return `WEBVTT\n\n${cues.join("")}`;
}

function timeOf(seconds: number, separator: "." | ","): string {
  return subtitleTime(Math.round(seconds * 1000), separator);
}
