import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { CatalogModel } from "../src/domain/catalog.ts";

/** How the server fails the next requests for a file; each fault is used once, in order. */
export type Fault =
  | { kind: "cut" /** Bytes after which the connection ends. */; after: number }
  | { kind: "hang"; after: number }
  | { kind: "status"; status: number; headers?: Record<string, string> }
  | { kind: "ignore range" }
  | { kind: "damage" };

export interface ModelServerOptions {
  /** File contents by path. */
  files: Record<string, Uint8Array>;
  /** Pause in ms between pieces; 0 sends everything at once. */
  paceMs?: number;
  /** Size of a piece in bytes, if there is a pause. */
  piece?: number;
}

/** Serves model files with ranges, as Hugging Face does, and fails on request. */
export class ModelServer implements AsyncDisposable {
  readonly url: string;
  /** The path, `Range` and `If-Range` of each request. */
  readonly requests: string[] = [];
  /** The `Authorization` of each request. */
  readonly authorizations: (string | undefined)[] = [];
  readonly faults: Fault[] = [];
  paceMs: number;
  /** Bytes sent in all requests so far. */
  #sent = 0;
  #waiters: { bytes: number; resolve: () => void }[] = [];
  readonly #options: ModelServerOptions;
  readonly #server: Server;

  constructor(options: ModelServerOptions) {
    this.#options = options;
    this.paceMs = options.paceMs ?? 0;
    this.#server = createServer((request, response) => {
      void this.#answer(request, response).catch(() => response.destroy());
    });
    this.#server.listen(0, "127.0.0.1");
    const { port } = this.#server.address() as AddressInfo;
    this.url = `http://127.0.0.1:${port}`;
  }

  /** Resolves when this many more bytes have been sent. */
  sent(bytes: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiters.push({ bytes: this.#sent + bytes, resolve });
    return promise;
  }

  #count(bytes: number): void {
    this.#sent += bytes;
    for (const waiter of this.#waiters) if (waiter.bytes <= this.#sent) waiter.resolve();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { range = "", "if-range": ifRange } = request.headers;
    const path = (request.url ?? "").slice(1);
    this.requests.push([path, range, ifRange].filter(Boolean).join(" "));
    this.authorizations.push(request.headers.authorization);
    const whole = this.#options.files[path];
    const fault = whole ? this.faults.shift() : undefined;
    if (!whole) return void response.writeHead(404).end("nothing");
    if (fault?.kind === "status")
      return void response.writeHead(fault.status, fault.headers).end("no");
    const etag = `"${Bun.hash(whole).toString(36)}"`;
    const fits = ifRange === undefined || ifRange === etag;
    const asked = fault?.kind === "ignore range" || !fits ? "" : range;
    const from = Number(/^bytes=(\d+)-$/.exec(asked)?.[1] ?? 0);
    if (from > 0 && from >= whole.length) return void response.writeHead(416).end();
    response.writeHead(from > 0 ? 206 : 200, {
      ETag: etag,
      "Content-Length": whole.length - from,
      ...(from > 0 ? { "Content-Range": `bytes ${from}-${whole.length - 1}/${whole.length}` } : {}),
    });
    const bytes = fault?.kind === "damage" ? whole.map((byte) => byte ^ 1) : whole;
    await this.#send(response, bytes.subarray(from), fault);
  }

  async #send(
    response: ServerResponse,
    bytes: Uint8Array,
    fault: Fault | undefined,
  ): Promise<void> {
    const stop = fault?.kind === "cut" || fault?.kind === "hang" ? fault.after : bytes.length;
    const piece = this.paceMs === 0 ? Math.max(1, stop) : (this.#options.piece ?? 1024);
    response.flushHeaders();
    for (let at = 0; at < stop && !response.destroyed; at += piece) {
      if (this.paceMs > 0) await delay(this.paceMs);
      const part = bytes.subarray(at, Math.min(stop, at + piece));
      await new Promise<void>((resolve) => response.write(part, () => resolve()));
      this.#count(part.length);
    }
    if (fault?.kind === "hang") return;
    if (fault?.kind === "cut") {
      // Lets the written bytes leave before the connection closes.
      await delay(20);
      response.destroy();
    } else response.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

/** Pseudo-random bytes; the same seed gives the same bytes. */
export function bytesOf(length: number, seed = 1): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  let state = seed;
  for (let at = 0; at < length; at++) {
    state = (state * 1_103_515_245 + 12_345) >>> 0;
    bytes[at] = state >>> 16;
  }
  return bytes;
}

/** A tiny catalogue model whose files a server has under `ID/PATH`. */
export function tinyModel(
  url: string,
  files: Record<string, Uint8Array>,
  change: Partial<CatalogModel> = {},
): CatalogModel {
  const id = change.id ?? "tiny-llm";
  return {
    id,
    stage: "llm",
    kind: "gguf",
    size: "small",
    name: "Tiny",
    about: "Too small to be of use.",
    languages: ["en"],
    licence: "MIT",
    memory: 1000,
    files: Object.entries(files).map(([path, bytes]) => ({
      path,
      sources: [{ url: `${url}/${id}/${path}` }],
      bytes: bytes.length,
      sha256: new Bun.CryptoHasher("sha256").update(bytes).digest("hex"),
    })),
    ...change,
  };
}
