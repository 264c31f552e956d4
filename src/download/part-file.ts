import { createReadStream } from "node:fs";
import { type FileHandle, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { Failure } from "../errors.ts";

/**
 * A file on its way: `NAME.part`, and in `NAME.part.etag` the mark of what it is a part of. It is
 * hashed as it grows, and takes the file's name only when it is whole.
 */
export class PartFile implements AsyncDisposable {
  readonly #to: string;
  readonly #handle: FileHandle;
  #hasher = new Bun.CryptoHasher("sha256");
  #size = 0;
  #etag: string | undefined;

  private constructor(to: string, handle: FileHandle) {
    this.#to = to;
    this.#handle = handle;
  }

  /**
   * Opens what an earlier download left, or begins anew.
   * @param limit bytes of the whole file; a longer part is none of it
   */
  static async open(
    to: string,
    limit: number | undefined,
    signal?: AbortSignal,
  ): Promise<PartFile> {
    const path = `${to}.part`;
    const kept = (await stat(path).catch(() => undefined))?.size ?? 0;
    const part = new PartFile(to, await open(path, kept === 0 ? "w" : "r+", 0o600));
    try {
      if (kept > (limit ?? Number.POSITIVE_INFINITY)) await part.restart();
      else if (kept > 0) await part.#takeUp(path, signal);
      return part;
    } catch (error) {
      await part[Symbol.asyncDispose]();
      throw error;
    }
  }

  get size(): number {
    return this.#size;
  }

  /** What the server called the version that the part is of. */
  get etag(): string | undefined {
    return this.#etag;
  }

  async #takeUp(path: string, signal: AbortSignal | undefined): Promise<void> {
    this.#etag = (await readFile(`${path}.etag`, "utf8").catch(() => "")) || undefined;
    for await (const chunk of createReadStream(path)) {
      signal?.throwIfAborted();
      this.#hasher.update(chunk);
      this.#size += chunk.length;
    }
  }

  /** Drops what is there. */
  async restart(etag?: string): Promise<void> {
    await this.#handle.truncate(0);
    this.#hasher = new Bun.CryptoHasher("sha256");
    this.#size = 0;
    this.#etag = etag;
    const mark = `${this.#to}.part.etag`;
    if (etag === undefined) await rm(mark, { force: true });
    else await writeFile(mark, etag, { mode: 0o600 });
  }

  /** @throws Failure when the disk is full */
  async append(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.byteLength; ) {
      const rest = chunk.subarray(at);
      const { bytesWritten } = await this.#handle
        .write(rest, 0, rest.byteLength, this.#size)
        .catch(cannotWrite);
      this.#hasher.update(rest.subarray(0, bytesWritten));
      this.#size += bytesWritten;
      at += bytesWritten;
    }
  }

  /** SHA-256 of what is there, in hexadecimal digits. */
  hash(): string {
    return this.#hasher.copy().digest("hex");
  }

  /** Gives the file its name. */
  async finish(): Promise<void> {
    await this.#handle.sync();
    await rename(`${this.#to}.part`, this.#to);
    await rm(`${this.#to}.part.etag`, { force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }
}

/** Removes what a download that was cut short left. */
export async function removePart(to: string): Promise<void> {
  await rm(`${to}.part`, { force: true });
  await rm(`${to}.part.etag`, { force: true });
}

function cannotWrite(error: unknown): never {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "ENOSPC" || code === "EDQUOT") {
    throw new Failure("unavailable", "the disk is full: free some space", { cause: error });
  }
  throw error;
}
