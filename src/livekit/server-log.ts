import type { Logger } from "pino";
import { ChildLog } from "../lib/child-output.ts";

type Level = "debug" | "info" | "warn" | "error";

/** Warnings of nearly every start; they matter only to a machine with hundreds of rooms. */
const HARMLESS = ["UDP receive buffer is too small"];
/** Errors of a connection that its participant closed: each hang-up causes several. */
const HANG_UP = /User Initiated Abort|websocket: close sent/;
/** Fields of the server's log lines that are useful and hold no content. */
const KEPT_FIELDS = ["logger", "error", "room", "participant", "reason"];
const MAX_TEXT = 1000;

/** Turns what an embedded livekit-server prints into lines of Parley's log. */
export class ServerLog extends ChildLog {
  readonly #logger: Logger;

  /** @param secret a text that must not reach the log */
  constructor(logger: Logger, secret: string) {
    super(secret);
    this.#logger = logger;
  }

  /** Logs one line: JSON as livekit-server writes it, or plain text as Go's runtime does. */
  override line(raw: string): void {
    const line = this.redact(raw);
    if (line === "") return;
    const entry = parseEntry(line);
    // The server reports its port once it has it.
    this.listening ||= entry.hasPort;
    if (entry.level === "warn" || entry.level === "error") {
      const error = entry.fields["error"];
      this.note(error ? `${entry.message}: ${error}` : entry.message);
    }
    this.#logger[entry.level](entry.fields, `livekit-server: ${entry.message}`);
  }
}

interface Entry {
  hasPort: boolean;
  level: Level;
  message: string;
  fields: Record<string, string>;
}

function parseEntry(line: string): Entry {
  const parsed = line.startsWith("{") ? parseObject(line) : undefined;
  // A line that is not JSON is a panic, or the reason why the server could not start.
  if (!parsed) {
    return { hasPort: false, level: "warn", message: line.slice(0, MAX_TEXT), fields: {} };
  }
  const message = (typeof parsed["msg"] === "string" ? parsed["msg"] : line).slice(0, MAX_TEXT);
  const fields: Record<string, string> = {};
  for (const name of KEPT_FIELDS) {
    const value = parsed[name];
    if (typeof value === "string") fields[name] = value.slice(0, MAX_TEXT);
  }
  const level = levelOf(parsed["level"], message, fields["error"]);
  return { hasPort: typeof parsed["portHttp"] === "number", level, message, fields };
}

function levelOf(level: unknown, message: string, error = ""): Level {
  if (HARMLESS.some((text) => message.startsWith(text)) || HANG_UP.test(error)) return "debug";
  if (level === "warn") return "warn";
  // An info line of the server is a detail in Parley's log.
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
