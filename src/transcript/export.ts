import type { Session } from "../domain/session.ts";
import type { Segment } from "../domain/transcript.ts";
import { clock, subtitleTime, webVttText } from "../lib/subtitles.ts";

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

/** A segment, prepared for one line of a file. */
interface Line {
  segment: Segment;
  /** In ms since the session's start, as `end`. */
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
 * Writes a transcript as a file. Times count from the session's start. Texts are escaped for each
 * format; only `json` keeps them unchanged.
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
 * Puts a text on one line and removes what could harm its surroundings: control characters act on
 * a terminal, line breaks forge lines or end subtitles, and bidirectional overrides reorder the
 * text around them.
 */
function oneLine(text: string): string {
  return text
    .toWellFormed()
    .replace(/[\s\u0085]+/g, " ")
    .replace(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu, "")
    .trim();
}

function toText(session: Head, lines: Line[]): string {
  const head = `${oneLine(session.room)}, ${new Date(session.started_at).toISOString()}`;
  const body = lines.map(({ segment, start, speaker, text }) => {
    const suffix = segment.interrupted ? " (interrupted)" : "";
    return `[${clock(start)}] ${speaker}: ${text}${suffix}`;
  });
  return `${[head, "", ...body].join("\n")}\n`;
}

function toMarkdown(session: Head, lines: Line[]): string {
  const head = [`# ${markdown(session.room)}`, new Date(session.started_at).toISOString()];
  const body = lines.map(({ segment, start, speaker, text }) => {
    const suffix = segment.interrupted ? " *(interrupted)*" : "";
    return `**${markdown(speaker)}** ${clock(start)}\n\n${markdown(text)}${suffix}`;
  });
  return `${[...head, ...body].join("\n\n")}\n`;
}

/** Escapes a text so that Markdown finds no HTML, link, emphasis, heading, list or table in it. */
function markdown(text: string): string {
  return oneLine(text)
    .replace(/[\\`*_{}[\]<>#|~&$^=!]/g, "\\$&")
    .replace(/:\/\//g, ":\\/\\/")
    .replace(/^[-+]/, "\\$&")
    .replace(/^(\d{1,9})([.)])/, "$1\\$2");
}

function toWebVtt(_session: Head, lines: Line[]): string {
  const cues = lines.map(({ start, end, speaker, text }) => {
    const time = `${subtitleTime(start, ".")} --> ${subtitleTime(end, ".")}`;
    return `${time}\n<v ${webVttText(speaker)}>${webVttText(text)}`;
  });
  return `${["WEBVTT", ...cues].join("\n\n")}\n`;
}

function toSubRip(_session: Head, lines: Line[]): string {
  const cues = lines.map(({ start, end, speaker, text }, index) => {
    const time = `${subtitleTime(start, ",")} --> ${subtitleTime(end, ",")}`;
    return `${index + 1}\n${time}\n${subRip(speaker)}: ${subRip(text)}\n`;
  });
  return cues.join("\n");
}

/** SubRip has no escapes: look-alikes replace what players read as tags or as an arrow. */
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

/** Without it, spreadsheets read a file in the code page of their system. */
const BYTE_ORDER_MARK = "\ufeff";

/** RFC 4180: every field quoted, lines ended by CRLF; after a byte order mark. */
function toCsv(_session: Head, lines: Line[]): string {
  const head = ["seq", "start", "end", "role", "identity", "text", "interrupted"];
  const rows = lines.map(({ segment, start, end, text }) => [
    String(segment.seq),
    subtitleTime(start, "."),
    subtitleTime(end, "."),
    segment.role,
    csvText(oneLine(segment.identity)),
    csvText(text),
    String(segment.interrupted),
  ]);
  const quoted = [head, ...rows].map((row) =>
    row.map((field) => `"${field.replace(/"/g, '""')}"`).join(","),
  );
  return `${BYTE_ORDER_MARK}${quoted.join("\r\n")}\r\n`;
}

/** Spreadsheets run text that begins like a formula, also after spaces or in full-width forms. */
function csvText(text: string): string {
  return /^\s*[=+\-@|%＝＋－＠]/.test(text) ? `'${text}` : text;
}
