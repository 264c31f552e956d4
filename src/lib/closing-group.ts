import type { Logger } from "pino";
import { withDeadline } from "./deadline.ts";

interface Part {
  name: string;
  ms: number;
  close: () => Promise<void>;
}

/**
 * Closes its parts together. One that fails, or takes longer than its deadline, is logged and left
 * behind: it must not keep others from being closed.
 */
export class ClosingGroup implements AsyncDisposable {
  readonly #logger: Pick<Logger, "warn">;
  readonly #parts: Part[] = [];

  constructor(logger: Pick<Logger, "warn">) {
    this.#logger = logger;
  }

  /**
   * Adds a part. @returns the part
   *
   * @param name for the log
   * @param ms how long it may take to close
   */
  use<T extends AsyncDisposable | Disposable>(name: string, ms: number, part: T): T {
    const close = async () => {
      if (Symbol.asyncDispose in part) await part[Symbol.asyncDispose]();
      else part[Symbol.dispose]();
    };
    this.#parts.push({ name, ms, close });
    return part;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#parts.splice(0).map((part) => this.#close(part)));
  }

  async #close({ name, ms, close }: Part): Promise<void> {
    try {
      await withDeadline(close(), ms, `closing ${name}`);
    } catch (error) {
      this.#logger.warn({ err: error }, `${name} did not close cleanly`);
    }
  }
}
