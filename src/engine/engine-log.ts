import type { Logger } from "pino";
import { z } from "zod";
import { linesOf } from "../lib/lines.ts";

const LAST_WORDS = 5;
const MAX_TEXT = 500;

/** What Bun adds to the reason of a crash. */
const NOISE =
  /^[-=]*$|Bun v\d|bun\.report|Bun has crashed|redacted crash report|file a GitHub issue|^(?:Linux|Windows|macOS|CPU|Args|Features|Builtins|Elapsed|RSS)[: ]/;

/** What the engine writes to its log, as far as it matters here. */
const entry = z.object({
  level: z.enum(["trace", "debug", "info", "warn", "error", "fatal"]),
  msg: z.string(),
  event: z.enum(["listening", "loading", "loaded", "failed"]).optional(),
  model: z.string().optional(),
  err: z.object({ message: z.string() }).optional(),
});

/** Follows what an engine process writes: its own log, and the words of native libraries. */
export class EngineLog {
  readonly #logger: Logger;
  readonly #secret: string;
  #lastWords: string[] = [];
  /** The model that is being loaded. */
  loading: string | undefined;

  /** @param secret a text that never reaches the log */
  constructor(logger: Logger, secret: string) {
    this.#logger = logger;
    this.#secret = secret;
  }

  /** The newest of what it complained about, to explain an end. */
  get lastWords(): string {
    return this.#lastWords.join(" | ");
  }

  /** Forgets what the process before wrote. */
  reset(): void {
    this.#lastWords = [];
    this.loading = undefined;
  }

  /** Follows both streams to their ends. */
  async follow(out: ReadableStream<Uint8Array>, errors: ReadableStream<Uint8Array>): Promise<void> {
    await Promise.all([
      each(out, (line) => this.#entry(line)),
      each(errors, (line) => this.#words(line)),
    ]);
  }

  /** Adds to the last words. */
  note(words: string): void {
    this.#lastWords.push(words.slice(0, MAX_TEXT));
    this.#lastWords = this.#lastWords.slice(-LAST_WORDS);
  }

  #entry(raw: string): void {
    const { data } = entry.safeParse(parsed(raw));
    if (!data) {
      this.#words(raw);
      return;
    }
    const { level, msg, event, model, err } = data;
    if (event) this.loading = event === "loading" ? model : undefined;
    if (level === "error" || level === "fatal") this.note(this.#clean(err?.message ?? msg));
    // What the engine finds worth an info line is detail to Parley's reader.
    const shown = level === "info" ? "debug" : level;
    const fields = {
      ...(model ? { model } : {}),
      ...(err ? { reason: this.#clean(err.message) } : {}),
    };
    this.#logger[shown](fields, `engine: ${this.#clean(msg)}`);
  }

  #words(raw: string): void {
    const words = this.#clean(raw);
    if (words === "") return;
    if (!NOISE.test(words)) this.note(words);
    this.#logger.debug(`engine: ${words}`);
  }

  #clean(text: string): string {
    return Bun.stripANSI(text).replaceAll(this.#secret, "***").trim().slice(0, MAX_TEXT);
  }
}

async function each(stream: ReadableStream<Uint8Array>, take: (line: string) => void) {
  for await (const line of linesOf(stream)) take(line);
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
