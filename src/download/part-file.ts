import { createReadStream } from "node:fs";
import { type FileHandle, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { codeOf, Failure } from "../errors.ts";

/**
 * A partial download: `NAME.part`, with the version's entity tag in `NAME.part.etag`. It is hashed
 * while it grows, and gets the file's name only when it is complete.
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
   * Opens the partial file of an earlier download, or creates one.
   *
   * @param limit size of the complete file; a larger partial file is discarded
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
      else if (kept > 0) await part.#readKept(path, signal);
      return part;
    } catch (error) {
      await part[Symbol.asyncDispose]();
      throw error;
    }
  }

  get size(): number {
    return this.#size;
  }

  /** The server's entity tag of the version that is being downloaded. */
  get etag(): string | undefined {
    return this.#etag;
  }

  async #readKept(path: string, signal: AbortSignal | undefined): Promise<void> {
    this.#etag = (await readFile(`${path}.etag`, "utf8").catch(() => "")) || undefined;
    for await (const chunk of createReadStream(path)) {
      signal?.throwIfAborted();
      this.#hasher.update(chunk);
      this.#size += chunk.length;
    }
  }

  /** Discards the bytes so far. */
  async restart(etag?: string): Promise<void> {
    await this.#handle.truncate(0);
    this.#hasher = new Bun.CryptoHasher("sha256");
    this.#size = 0;
    this.#etag = etag;
    const tagPath = `${this.#to}.part.etag`;
    if (etag === undefined) await rm(tagPath, { force: true });
    else await writeFile(tagPath, etag, { mode: 0o600 });
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

  /** SHA-256 of the bytes so far, in hexadecimal digits. */
  hash(): string {
    return this.#hasher.copy().digest("hex");
  }

  /** Gives the complete file its name. */
  async finish(): Promise<void> {
    await this.#handle.sync();
    await rename(`${this.#to}.part`, this.#to);
    await rm(`${this.#to}.part.etag`, { force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }
}

export class DiskFull extends Failure {}

/** Removes a partial download. */
export async function removePart(to: string): Promise<void> {
  await rm(`${to}.part`, { force: true });
  await rm(`${to}.part.etag`, { force: true });
}

function cannotWrite(error: unknown): never {
  const code = codeOf(error);
  if (code === "ENOSPC" || code === "EDQUOT") {
    throw new DiskFull("unavailable", "the disk is full: free some space", { cause: error });
  }
  throw error;
}
