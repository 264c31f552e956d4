import type { Logger } from "pino";
import { z } from "zod";
import { ChildLog } from "../lib/child-output.ts";

const MAX_TEXT = 500;

/** Lines that Bun prints around the reason of a crash. */
const NOISE =
  /^[-=]*$|Bun v\d|bun\.report|Bun has crashed|redacted crash report|file a GitHub issue|^(?:Linux|Windows|macOS|CPU|Args|Features|Builtins|Elapsed|RSS)[: ]/;

/** The fields of the engine's log lines that matter here. */
const entry = z.object({
  level: z.enum(["trace", "debug", "info", "warn", "error", "fatal"]),
  msg: z.string(),
  event: z.enum(["listening", "loading", "loaded", "failed", "released"]).optional(),
  model: z.string().optional(),
  err: z.object({ message: z.string() }).optional(),
});

/** Reads what an engine process prints: its own log, and the output of native libraries. */
export class EngineLog extends ChildLog {
  readonly #logger: Logger;
  /** The id of the model that is being loaded. */
  loading: string | undefined;
  /** The ids of the models that are in memory. */
  readonly loaded = new Set<string>();

  /** @param secret a text that must not reach the log */
  constructor(logger: Logger, secret: string) {
    super(secret);
    this.#logger = logger;
  }

  override reset(): void {
    super.reset();
    this.loading = undefined;
    this.loaded.clear();
  }

  override line(raw: string): void {
    const { data } = entry.safeParse(parsed(raw));
    if (!data) {
      this.#plainLine(raw);
      return;
    }
    const { level, msg, event, model, err } = data;
    if (event) this.#note(event, model);
    if (level === "error" || level === "fatal") this.note(this.#clean(err?.message ?? msg));
    // An info line of the engine is a detail in Parley's log.
    const ownLevel = level === "info" ? "debug" : level;
    const fields = {
      ...(model ? { model } : {}),
      ...(err ? { reason: this.#clean(err.message) } : {}),
    };
    this.#logger[ownLevel](fields, `engine: ${this.#clean(msg)}`);
  }

  #note(event: NonNullable<z.infer<typeof entry>["event"]>, model: string | undefined): void {
    if (event === "listening") this.listening = true;
    if (event === "released" && model !== undefined) this.loaded.delete(model);
    if (event === "loaded" && model !== undefined) this.loaded.add(model);
    if (event !== "released") this.loading = event === "loading" ? model : undefined;
  }

  #plainLine(raw: string): void {
    const text = this.#clean(raw);
    if (text === "") return;
    if (!NOISE.test(text)) this.note(text);
    this.#logger.debug(`engine: ${text}`);
  }

  #clean(text: string): string {
    return this.redact(Bun.stripANSI(text)).slice(0, MAX_TEXT);
  }
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
