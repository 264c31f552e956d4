/** A line is cut at this length, in characters: a child that never ends one must not fill memory. */
const MAX_LINE = 256 * 1024;
const KEPT_ERRORS = 5;

/** The lines of a child's output, without their line ends, until the stream closes. */
export async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = (lines.pop() ?? "").slice(0, MAX_LINE);
    yield* lines;
  }
  if (rest !== "") yield rest;
}

/** Turns what a child prints into Parley's log, and keeps its last errors to explain its exit. */
export abstract class ChildLog {
  /** A text that the child knows and that must not reach the log. */
  secret: string;
  /** Whether the child has said that it listens. */
  listening = false;
  #lastErrors: string[] = [];

  constructor(secret: string) {
    this.secret = secret;
  }

  /** Takes one line that the child printed, to stdout or stderr. */
  abstract line(raw: string): void;

  /** Why the child stopped, as far as its output tells; empty when it printed no error. */
  get lastErrors(): string {
    return this.#lastErrors.join(" | ");
  }

  /** Forgets what the last child printed, because a new one starts. */
  reset(): void {
    this.#lastErrors = [];
    this.listening = false;
  }

  /** Adds to the last errors. */
  note(error: string): void {
    this.#lastErrors = [...this.#lastErrors, error].slice(-KEPT_ERRORS);
  }

  /** Reads one output stream of the child to its end. */
  async follow(stream: ReadableStream<Uint8Array>): Promise<void> {
    for await (const line of linesOf(stream)) this.line(line);
  }

  protected redact(text: string): string {
    return text.replaceAll(this.secret, "***").trim();
  }
}
