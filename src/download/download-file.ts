import { setTimeout as delay } from "node:timers/promises";
import { Failure } from "../errors.ts";
import { PartFile, removePart } from "./part-file.ts";
import { Busy, request, Unreachable, watchdog } from "./request.ts";

export interface DownloadOptions {
  url: string;
  /** Headers of the request, such as a token. A redirect to another origin loses `Authorization`. */
  headers?: Record<string, string> | undefined;
  /** The file's path; only a complete and verified file gets this name. */
  to: string;
  sha256: string;
  /** The file's size, if it is known. */
  bytes?: number | undefined;
  signal?: AbortSignal | undefined;
  /** How long the server may send nothing. */
  stallMs?: number | undefined;
  onProgress?: (received: number, total: number | undefined) => void;
}

/** Failed requests in a row without new data; a server that refuses for good is not asked again. */
const MAX_FAILURES = 3;
/** A server that wants to be left alone for longer, in ms, is not waited for. */
const MAX_WAIT_MS = 30_000;
/** Pauses before the next request, in ms, by how many have failed in a row. */
const RETRY_MS = [200, 1000];

/**
 * Downloads and verifies a file. It resumes an earlier download, also one of another process, and
 * keeps a partial file after a failure or a cancellation.
 *
 * @throws Failure that says what went wrong, or the signal's reason
 */
export async function downloadFile(options: DownloadOptions): Promise<void> {
  await using part = await PartFile.open(options.to, options.bytes, options.signal);
  let resumed = part.size > 0;
  let furthest = part.size;
  let answered = false;
  for (let failures = 0; ; ) {
    let waitMs = 0;
    const { total, broken } = await receive(part, options).catch((error: unknown) => {
      if (!mayRecover(error, answered)) throw error;
      if (error instanceof Busy) waitMs = error.waitMs;
      return { total: options.bytes, broken: error.message };
    });
    answered = true;
    if (broken === undefined && part.size === (options.bytes ?? total ?? part.size)) {
      if (part.hash() === options.sha256) return part.finish();
      if (!resumed) {
        await removePart(options.to);
        throw new Failure("unavailable", `${options.url} is not the published file: wrong SHA-256`);
      }
      // The partial file may be damaged or of another version, so it is downloaded from the start.
      resumed = false;
      furthest = 0;
      await part.restart();
      continue;
    }
    failures = part.size > furthest ? 1 : failures + 1;
    furthest = Math.max(furthest, part.size);
    if (failures >= MAX_FAILURES) throw brokeOff(options, part.size, total, broken);
    const pauseMs = Math.max(waitMs, RETRY_MS[failures - 1] ?? 0);
    await delay(pauseMs, undefined, { signal: options.signal });
  }
}

/** @param answered a server that has answered before may only be away for a moment */
function mayRecover(error: unknown, answered: boolean): error is Failure {
  if (error instanceof Busy) return error.waitMs <= MAX_WAIT_MS;
  return answered && error instanceof Unreachable;
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
  /** Size of the complete file, if the server sent it. */
  total: number | undefined;
  /** Why the request ended early, if an error said so. */
  broken: string | undefined;
}

/** Requests the missing bytes once. */
async function receive(part: PartFile, options: DownloadOptions): Promise<Outcome> {
  if (part.size > 0 && part.size === options.bytes) {
    options.onProgress?.(part.size, options.bytes);
    return { total: options.bytes, broken: undefined };
  }
  using watch = watchdog(options);
  const response = await request(options.url, watch, {
    headers: { ...options.headers, ...rangeOf(part) },
    accepted: [416],
  });
  if (response.status === 416) {
    await response.body?.cancel();
    await part.restart();
    return { total: undefined, broken: "the server does not have that range" };
  }
  const resumes = response.status === 206 && startOf(response) === part.size;
  if (!resumes) await part.restart(response.headers.get("etag") ?? undefined);
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
      watch.keepAlive();
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

/**
 * Headers that request the missing bytes of the same version; the server may answer with the whole
 * file instead. See RFC 9110, sections 13.1.5 (If-Range) and 14.2 (Range).
 */
function rangeOf(part: PartFile): Record<string, string> {
  // Ranges of a compressed response would not fit together.
  const plain = { "Accept-Encoding": "identity" };
  if (part.size === 0) return plain;
  const range = { ...plain, Range: `bytes=${part.size}-` };
  // If-Range does not allow weak tags; without it the hash finds a changed file at the end.
  const strong = part.etag !== undefined && !part.etag.startsWith("W/");
  return strong ? { ...range, "If-Range": part.etag ?? "" } : range;
}

function startOf(response: Response): number {
  return Number(/^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "")?.[1] ?? -1);
}
