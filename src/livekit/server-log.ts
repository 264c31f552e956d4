import type { Logger } from "pino";
import { linesOf } from "../lib/lines.ts";

type Level = "debug" | "info" | "warn" | "error";

/** Said at each start on nearly every machine; it matters to a host of hundreds of rooms only. */
const HARMLESS = ["UDP receive buffer is too small"];
/** What the server says of a connection that its owner closed: each hang-up gives several. */
const HANG_UP = /User Initiated Abort|websocket: close sent/;
/** Fields of the server's log lines that help and hold no content. */
const KEPT_FIELDS = ["logger", "error", "room", "participant", "reason"];
const MAX_TEXT = 1000;
const LAST_WORDS = 5;

/** Turns what an embedded livekit-server prints into lines of Parley's log. */
export class ServerLog {
  readonly #logger: Logger;
  readonly #secret: string;
  #lastWords: string[] = [];

  /** @param secret a text that never reaches the log */
  constructor(logger: Logger, secret: string) {
    this.#logger = logger;
    this.#secret = secret;
  }

  /** The newest problems, to explain a server that stopped. */
  get lastWords(): string {
    return this.#lastWords.join(" | ");
  }

  /** Forgets the last words, as a new server process starts. */
  reset(): void {
    this.#lastWords = [];
  }

  /** Follows one output stream of the server to its end. */
  async follow(stream: ReadableStream<Uint8Array>): Promise<void> {
    for await (const line of linesOf(stream)) this.line(line);
  }

  /** Logs one line: JSON as livekit-server writes it, or plain text as Go's runtime does. */
  line(raw: string): void {
    const line = raw.replaceAll(this.#secret, "***").trim();
    if (line === "") return;
    const entry = parseEntry(line);
    if (entry.level === "warn" || entry.level === "error") {
      const error = entry.fields["error"];
      this.#lastWords.push(error ? `${entry.message}: ${error}` : entry.message);
      this.#lastWords = this.#lastWords.slice(-LAST_WORDS);
    }
    this.#logger[entry.level](entry.fields, `livekit-server: ${entry.message}`);
  }
}

interface Entry {
  level: Level;
  message: string;
  fields: Record<string, string>;
}

function parseEntry(line: string): Entry {
  const parsed = line.startsWith("{") ? parseObject(line) : undefined;
  // What is not a log entry is a panic, or the reason why the server could not start.
  if (!parsed) return { level: "warn", message: line.slice(0, MAX_TEXT), fields: {} };
  const message = (typeof parsed["msg"] === "string" ? parsed["msg"] : line).slice(0, MAX_TEXT);
  const fields: Record<string, string> = {};
  for (const name of KEPT_FIELDS) {
    const value = parsed[name];
    if (typeof value === "string") fields[name] = value.slice(0, MAX_TEXT);
  }
  return { level: levelOf(parsed["level"], message, fields["error"]), message, fields };
}

function levelOf(level: unknown, message: string, error = ""): Level {
  if (HARMLESS.some((text) => message.startsWith(text)) || HANG_UP.test(error)) return "debug";
  if (level === "warn") return "warn";
  // What the server finds worth an info line is detail to Parley's reader.
  return level === "debug" || level === "info" ? "debug" : "error";
}

function parseObject(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}
