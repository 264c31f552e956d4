import { write } from "node:fs";
import { codeOf } from "../errors.ts";
import { withDeadline } from "../lib/deadline.ts";

/** How much text waits at most for its reader, in characters. */
const MAX_WAITING = 1024 * 1024;
const RETRY_MS = 20;
/** How long the end waits for the reader. */
const LAST_FLUSH_MS = 400;

/**
 * Writes the log to a file descriptor without waiting for who reads it: a reader that stands still
 * must not stop the conversations. Lines stay in order. Beyond a bound they are dropped and counted.
 */
export class LogOutput implements AsyncDisposable {
  readonly #fd: number;
  readonly #maxWaiting: number;
  /** Called with the number of lines that were dropped, once there is room again. */
  onDropped: (lines: number) => void = () => {};
  #waiting: string[] = [];
  #size = 0;
  #dropped = 0;
  #writing: Promise<void> | undefined;

  constructor(fd: number, maxWaiting = MAX_WAITING) {
    this.#fd = fd;
    this.#maxWaiting = maxWaiting;
  }

  write(line: string): void {
    if (this.#size + line.length > this.#maxWaiting) {
      this.#dropped++;
      return;
    }
    this.#waiting.push(line);
    this.#size += line.length;
    this.#writing ??= this.#writeWaiting().finally(() => {
      this.#writing = undefined;
    });
  }

  /** Waits until everything is written, but no longer than `ms`. */
  async flush(ms: number): Promise<void> {
    await withDeadline(Promise.resolve(this.#writing), ms, "the log").catch(() => {});
  }

  /** Writes what is left, for a moment. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.flush(LAST_FLUSH_MS);
  }

  async #writeWaiting(): Promise<void> {
    while (this.#waiting.length > 0) {
      const text = this.#waiting.join("");
      this.#waiting = [];
      await this.#writeAll(Buffer.from(text));
      this.#size -= text.length;
      this.#reportDropped();
    }
  }

  async #writeAll(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      try {
        at += await writeSome(this.#fd, bytes.subarray(at));
      } catch (error) {
        // Nobody will read it: the pipe is closed, or the disk is full.
        if (codeOf(error) !== "EAGAIN") return;
        await Bun.sleep(RETRY_MS);
      }
    }
  }

  #reportDropped(): void {
    if (this.#dropped === 0 || this.#size > this.#maxWaiting / 2) return;
    const lines = this.#dropped;
    this.#dropped = 0;
    this.onDropped(lines);
  }
}

function writeSome(fd: number, bytes: Buffer): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  write(fd, bytes, 0, bytes.length, null, (error, written) => {
    if (error) reject(error);
    else resolve(written);
  });
  return promise;
}
