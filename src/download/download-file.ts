import { setTimeout as delay } from "node:timers/promises";
import { Failure } from "../errors.ts";
import { PartFile, removePart } from "./part-file.ts";
import { request, Unreachable } from "./request.ts";
import { watchdog } from "./watchdog.ts";

export interface DownloadOptions {
  url: string;
  /** Where the file goes; only a whole and verified one gets there. */
  to: string;
  sha256: string;
  /** Bytes of the file, where they are known. */
  bytes?: number | undefined;
  signal?: AbortSignal | undefined;
  /** How long the server may send nothing. */
  stallMs?: number | undefined;
  onProgress?: (received: number, total: number | undefined) => void;
}

/** How often a connection may break without the file having grown; a plain refusal ends at once. */
const ATTEMPTS = 3;
/** Waits before the next request, in ms, by how many have failed in a row. */
const RETRY_MS = [200, 1000];

/**
 * Downloads a file, goes on where an earlier download stopped (also one of another process), and
 * verifies it. What came before a failure or a cancellation is kept for the next time.
 *
 * @throws Failure that says what went wrong, or the signal's reason
 */
export async function downloadFile(options: DownloadOptions): Promise<void> {
  await using part = await PartFile.open(options.to, options.bytes, options.signal);
  let resumed = part.size > 0;
  let furthest = part.size;
  let answered = false;
  for (let failures = 0; ; ) {
    const { total, broken } = await receive(part, options).catch((error: unknown) => {
      // A server that was there a moment ago may be there again in another.
      if (!answered || !(error instanceof Unreachable)) throw error;
      return { total: options.bytes, broken: error.message };
    });
    answered = true;
    if (broken === undefined && part.size === (options.bytes ?? total ?? part.size)) {
      if (part.hash() === options.sha256) return part.finish();
      if (!resumed) {
        await removePart(options.to);
        throw new Failure("unavailable", `${options.url} is not the published file: wrong SHA-256`);
      }
      // The part may have been of another version, or damaged: once more from the start.
      resumed = false;
      furthest = 0;
      await part.restart();
      continue;
    }
    failures = part.size > furthest ? 1 : failures + 1;
    furthest = Math.max(furthest, part.size);
    if (failures >= ATTEMPTS) throw brokeOff(options, part.size, total, broken);
    await delay(RETRY_MS[failures - 1], undefined, { signal: options.signal });
  }
}

function brokeOff(
  { url, bytes }: DownloadOptions,
  received: number,
  announced: number | undefined,
  why = "the connection was closed",
): Failure {
  const total = bytes ?? announced;
  const of = total === undefined ? "" : ` of ${total}`;
  return new Failure("unavailable", `${url} broke off after ${received}${of} bytes: ${why}`);
}

interface Outcome {
  /** Bytes of the whole file, if the server tells. */
  total: number | undefined;
  /** Why it ended early, where an error said so. */
  broken: string | undefined;
}

/** One request for what is missing. */
async function receive(part: PartFile, options: DownloadOptions): Promise<Outcome> {
  if (part.size > 0 && part.size === options.bytes) {
    options.onProgress?.(part.size, options.bytes);
    return { total: options.bytes, broken: undefined };
  }
  using watch = watchdog(options);
  const response = await request(options.url, watch, {
    headers: rangeOf(part),
    accepted: [416],
  });
  if (response.status === 416) {
    await response.body?.cancel();
    await part.restart();
    return { total: undefined, broken: "the server has no such part" };
  }
  const goesOn = response.status === 206 && startOf(response) === part.size;
  if (!goesOn) await part.restart(response.headers.get("etag") ?? undefined);
  const length = Number(response.headers.get("content-length"));
  const total = length > 0 ? part.size + length : undefined;
  if (total !== undefined && total !== (options.bytes ?? total)) {
    await response.body?.cancel();
    throw otherFile(options, total);
  }
  options.onProgress?.(part.size, options.bytes ?? total);
  let broken: string | undefined;
  try {
    for await (const chunk of response.body ?? []) {
      watch.alive();
      await part.append(chunk);
      if (part.size > (options.bytes ?? part.size)) throw otherFile(options, part.size);
      options.onProgress?.(part.size, options.bytes ?? total);
    }
  } catch (error) {
    options.signal?.throwIfAborted();
    if (error instanceof Failure) throw error;
    broken = watch.reason(error);
  }
  return { total, broken };
}

function otherFile({ url, bytes }: DownloadOptions, found: number): Failure {
  return new Failure(
    "unavailable",
    `${url} is not the published file: it has ${found} bytes rather than ${bytes}`,
  );
}

/** Asks for the rest, if it is still of the same version; a server may answer with the whole. */
function rangeOf(part: PartFile): Record<string, string> {
  // Packed by the server, parts would not fit together.
  const plain = { "Accept-Encoding": "identity" };
  if (part.size === 0) return plain;
  const range = { ...plain, Range: `bytes=${part.size}-` };
  // A weak mark may not stand in If-Range; the hash tells in the end.
  const strong = part.etag !== undefined && !part.etag.startsWith("W/");
  return strong ? { ...range, "If-Range": part.etag ?? "" } : range;
}

function startOf(response: Response): number {
  return Number(/^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "")?.[1] ?? -1);
}
