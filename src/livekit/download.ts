import { open } from "node:fs/promises";
import { Failure, messageOf } from "../errors.ts";

export interface DownloadOptions {
  url: string;
  /** Where the file goes; only whole and verified files stay there. */
  to: string;
  sha256: string;
  signal?: AbortSignal | undefined;
  /** How long the server may send nothing. */
  stallMs?: number | undefined;
  onProgress?: (received: number, total: number | undefined) => void;
}

const STALL_MS = 30_000;
/** A connection that breaks in the middle is tried again; a plain refusal is not. */
const ATTEMPTS = 3;

/** Downloads a file and verifies it. @throws Failure that says what went wrong */
export async function downloadFile(options: DownloadOptions): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const outcome = await downloadOnce(options);
    if (outcome.hash === options.sha256) return;
    const { received, total, broken } = outcome;
    if (broken === undefined && (total === undefined || received === total)) {
      throw new Failure("unavailable", `${options.url} is not the published file: wrong SHA-256`);
    }
    if (attempt >= ATTEMPTS) {
      const of = total === undefined ? "" : ` of ${total}`;
      const why = broken ?? "the connection was closed";
      throw new Failure(
        "unavailable",
        `${options.url} broke off after ${received}${of} bytes: ${why}`,
      );
    }
  }
}

/** Downloads a small text. @throws Failure that says what went wrong */
export async function downloadText(
  url: string,
  options: { signal?: AbortSignal | undefined; stallMs?: number | undefined },
): Promise<string> {
  using watch = watchdog(options);
  const response = await request(url, watch);
  try {
    return await response.text();
  } catch (error) {
    options.signal?.throwIfAborted();
    throw new Failure("unavailable", `${url} broke off: ${watch.reason(error)}`, { cause: error });
  }
}

interface Outcome {
  received: number;
  total: number | undefined;
  hash: string;
  /** Why it ended early, where an error said so. */
  broken: string | undefined;
}

async function downloadOnce(options: DownloadOptions): Promise<Outcome> {
  using watch = watchdog(options);
  const response = await request(options.url, watch);
  const length = Number(response.headers.get("content-length"));
  const total = length > 0 ? length : undefined;
  const hasher = new Bun.CryptoHasher("sha256");
  const file = await open(options.to, "w", 0o600);
  let received = 0;
  let broken: string | undefined;
  try {
    for await (const chunk of response.body ?? []) {
      watch.alive();
      hasher.update(chunk);
      await file.writeFile(chunk);
      received += chunk.byteLength;
      options.onProgress?.(received, total);
    }
  } catch (error) {
    options.signal?.throwIfAborted();
    broken = watch.reason(error);
  } finally {
    await file.close();
  }
  return { received, total, hash: hasher.digest("hex"), broken };
}

async function request(url: string, watch: Watchdog): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { signal: watch.signal });
  } catch (error) {
    watch.caller?.throwIfAborted();
    const { host } = new URL(url);
    throw new Failure("unavailable", `${host} cannot be reached: ${watch.reason(error)}`, {
      cause: error,
    });
  }
  watch.alive();
  if (!response.ok) {
    await response.body?.cancel();
    throw new Failure("unavailable", `${url} answered ${response.status}`);
  }
  return response;
}

interface Watchdog extends Disposable {
  signal: AbortSignal;
  caller: AbortSignal | undefined;
  /** To be called whenever something arrives. */
  alive(): void;
  /** What to tell about an error: the silence that caused it, or its own text. */
  reason(error: unknown): string;
}

/** Aborts what uses its signal when nothing arrives for too long, or when the caller does. */
function watchdog(options: {
  signal?: AbortSignal | undefined;
  stallMs?: number | undefined;
}): Watchdog {
  const { signal: caller, stallMs = STALL_MS } = options;
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(), stallMs);
  return {
    caller,
    signal: caller ? AbortSignal.any([caller, silence.signal]) : silence.signal,
    alive: () => void timer.refresh(),
    reason: (error) =>
      silence.signal.aborted ? `nothing came for ${stallMs / 1000} s` : messageOf(error),
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}
