import type { Session } from "../domain/session.ts";
import type { Segment } from "../domain/transcript.ts";

export const EXPORT_FORMATS = ["txt", "md", "vtt", "srt", "json", "csv"] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

export interface ExportedTranscript {
  body: string;
  contentType: string;
  /** ASCII letters, digits, dots and dashes only. */
  filename: string;
}

type Head = Pick<
  Session,
  "id" | "room" | "identity" | "name" | "started_at" | "ended_at" | "end_reason"
>;

/** A segment with times in ms since the session's start, and texts fit for one line. */
interface Line {
  segment: Segment;
  start: number;
  end: number;
  speaker: string;
  text: string;
}

const WRITERS: Record<
  ExportFormat,
  { contentType: string; write: (session: Head, lines: Line[]) => string }
> = {
  txt: { contentType: "text/plain; charset=utf-8", write: toText },
  md: { contentType: "text/markdown; charset=utf-8", write: toMarkdown },
  vtt: { contentType: "text/vtt; charset=utf-8", write: toWebVtt },
  srt: { contentType: "application/x-subrip; charset=utf-8", write: toSubRip },
  json: { contentType: "application/json", write: toJson },
  csv: { contentType: "text/csv; charset=utf-8; header=present", write: toCsv },
};

/**
 * A transcript as a file. Times count from the session's start. What people and models said is
 * made harmless for each format; only `json` holds it to the letter.
 *
 * @param segments final segments, in any order
 */
export function exportTranscript(
  session: Head,
  segments: readonly Segment[],
  format: ExportFormat,
): ExportedTranscript {
  const { contentType, write } = WRITERS[format];
  const lines = segments
    .map((segment) => lineOf(session, segment))
    .sort((one, other) => one.start - other.start || one.segment.seq - other.segment.seq);
  const day = new Date(session.started_at).toISOString().slice(0, 10);
  const id = session.id.replace(/[^A-Za-z0-9-]/g, "");
  return { body: write(session, lines), contentType, filename: `parley-${day}-${id}.${format}` };
}

function lineOf(session: Head, segment: Segment): Line {
  const start = Math.max(0, Math.round(segment.started_at - session.started_at));
  const end = Math.max(start + 1, Math.round(segment.ended_at - session.started_at));
  const user = session.name ?? segment.identity;
  const speaker = segment.role === "agent" ? "Agent" : oneLine(user);
  return { segment, start, end, speaker, text: oneLine(segment.text) };
}

/**
 * Control characters would act on a terminal, line breaks would forge lines or end subtitles, and
 * bidirectional overrides would reorder what stands around them: none of these stays.
 */
function oneLine(text: string): string {
  return text
    .toWellFormed()
    .replace(/[\s\u0085]+/g, " ")
    .replace(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu, "")
    .trim();
}

/** `HH:MM:SS` and the ms after `separator`; hours grow as needed. */
function timestamp(ms: number, separator: "." | ","): string {
  const two = (value: number) => String(Math.floor(value)).padStart(2, "0");
  const seconds = `${two(ms / 3_600_000)}:${two((ms / 60_000) % 60)}:${two((ms / 1000) % 60)}`;
  return `${seconds}${separator}${String(ms % 1000).padStart(3, "0")}`;
}

function clock(ms: number): string {
  return timestamp(ms, ".").slice(0, -4);
}

function toText(session: Head, lines: Line[]): string {
  const head = `${oneLine(session.room)}, ${new Date(session.started_at).toISOString()}`;
  const spoken = lines.map(({ segment, start, speaker, text }) => {
    const cut = segment.interrupted ? " (interrupted)" : "";
    return `[${clock(start)}] ${speaker}: ${text}${cut}`;
  });
  return `${[head, "", ...spoken].join("\n")}\n`;
}

function toMarkdown(session: Head, lines: Line[]): string {
  const head = [`# ${markdown(session.room)}`, new Date(session.started_at).toISOString()];
  const spoken = lines.map(({ segment, start, speaker, text }) => {
    const cut = segment.interrupted ? " *(interrupted)*" : "";
    return `**${markdown(speaker)}** ${clock(start)}\n\n${markdown(text)}${cut}`;
  });
  return `${[...head, ...spoken].join("\n\n")}\n`;
}

/** Text that Markdown shows as it is: no HTML, link, image, emphasis, heading, list or table. */
function markdown(text: string): string {
  return oneLine(text)
    .replace(/[\\`*_{}[\]<>#|~&$^=!]/g, "\\$&")
    .replace(/:\/\//g, ":\\/\\/")
    .replace(/^[-+]/, "\\$&")
    .replace(/^(\d{1,9})([.)])/, "$1\\$2");
}

function toWebVtt(_session: Head, lines: Line[]): string {
  const cues = lines.map(({ start, end, speaker, text }) => {
    const time = `${timestamp(start, ".")} --> ${timestamp(end, ".")}`;
    return `${time}\n<v ${webVtt(speaker)}>${webVtt(text)}`;
  });
  return `${["WEBVTT", ...cues].join("\n\n")}\n`;
}

function webVtt(text: string): string {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

function toSubRip(_session: Head, lines: Line[]): string {
  const cues = lines.map(({ start, end, speaker, text }, index) => {
    const time = `${timestamp(start, ",")} --> ${timestamp(end, ",")}`;
    return `${index + 1}\n${time}\n${subRip(speaker)}: ${subRip(text)}\n`;
  });
  return cues.join("\n");
}

/** SubRip has no escapes: look-alikes stand for what players take for tags or an arrow. */
function subRip(text: string): string {
  return text.replace(/</g, "‹").replace(/>/g, "›").replace(/\{/g, "(").replace(/\}/g, ")");
}

function toJson(session: Head, lines: Line[]): string {
  const iso = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());
  const { id, room, identity, name, end_reason } = session;
  const document = {
    session_id: id,
    room,
    identity,
    name,
    started_at: iso(session.started_at),
    ended_at: iso(session.ended_at),
    end_reason,
    segments: lines.map(({ segment, start, end }) => ({
      ...segment,
      started_at: iso(segment.started_at),
      ended_at: iso(segment.ended_at),
      start_ms: start,
      end_ms: end,
    })),
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

/** RFC 4180: every field quoted, lines ended by CRLF. */
function toCsv(_session: Head, lines: Line[]): string {
  const head = ["seq", "start", "end", "role", "identity", "text", "interrupted"];
  const rows = lines.map(({ segment, start, end, text }) => [
    String(segment.seq),
    timestamp(start, "."),
    timestamp(end, "."),
    segment.role,
    csvText(oneLine(segment.identity)),
    csvText(text),
    String(segment.interrupted),
  ]);
  const quoted = [head, ...rows].map((row) =>
    row.map((field) => `"${field.replace(/"/g, '""')}"`).join(","),
  );
  return `${quoted.join("\r\n")}\r\n`;
}

/** Spreadsheets run what begins like a formula, also after blanks and in full-width forms. */
function csvText(text: string): string {
  return /^\s*[=+\-@|%＝＋－＠]/.test(text) ? `'${text}` : text;
}
