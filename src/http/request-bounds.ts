import type { MiddlewareHandler } from "hono";
import { Failure } from "../errors.ts";
import { untilAborted } from "../lib/deadline.ts";
import { ARRIVAL_S, serverOf } from "./listen.ts";

/** What a request may take; tests take less. */
export interface RequestBounds {
  /** Requests that are being answered at the same time, each with up to `MAX_BODY_BYTES`. */
  maxPending: number;
  /** Until its body is here, in s. */
  arrivalS: number;
  /** From then on until the answer begins, in ms. */
  answerMs: number;
  /** Until the answer, or a stream of events, has been read, in s. Bun allows up to 255. */
  sendingS: number;
}

/** An answer may need a model that is loaded from a slow disk; its parts have own deadlines. */
const BOUNDS: RequestBounds = {
  maxPending: 2000,
  arrivalS: ARRIVAL_S,
  answerMs: 300_000,
  sendingS: 240,
};

const MAX_ADDRESS_LENGTH = 8192;
const MAX_BODY_BYTES = 256 * 1024;

/**
 * Refuses requests that name no address of Parley's. Bun passes the target of `CONNECT` as it is,
 * and a bare path if the `Host` is missing or malformed; neither can be routed. The body of
 * `CONNECT` never ends, so that reading it would wait until the connection closes.
 */
export const boundAddress: MiddlewareHandler = async (c, next) => {
  const { method, url } = c.req;
  if (method === "CONNECT") throw new Failure("invalid", "Parley is no proxy: CONNECT is refused.");
  if (url.length > MAX_ADDRESS_LENGTH) throw new Failure("invalid", "The address is too long.");
  if (!/^https?:$/.test(URL.parse(url)?.protocol ?? "")) {
    throw new Failure("invalid", "The request has no valid address: check its Host header.");
  }
  await next();
};

/**
 * Bounds every request: the size of its body, and the times in which it arrives, is answered, and
 * the answer is read. The signal of a request with a body aborts when its caller has gone or the
 * time is up, so that a route can stop its work.
 */
export function boundRequest(bounds: Partial<RequestBounds> = {}): MiddlewareHandler {
  const { maxPending, arrivalS, answerMs, sendingS } = { ...BOUNDS, ...bounds };
  return async (c, next) => {
    const [request, server] = [c.req.raw, serverOf(c)];
    if (server && server.pendingRequests > maxPending) {
      throw new Failure("unavailable", "Parley has too many requests to answer.", {
        retryAfter: 5,
      });
    }
    // An earlier request on this connection has left another time.
    server?.timeout(request, arrivalS);
    const body = request.body && (await read(request, request.body));
    server?.timeout(request, 0);
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(tooLate()), answerMs);
    if (body) {
      const signal = AbortSignal.any([request.signal, late.signal]);
      c.req.raw = new Request(request, { body, signal });
    }
    try {
      await untilAborted(late.signal, next());
    } finally {
      clearTimeout(timer);
      server?.timeout(request, sendingS);
    }
  };
}

/** @throws Failure `too_large` without reading on */
async function read(request: Request, body: ReadableStream<Uint8Array>) {
  if (Number(request.headers.get("Content-Length")) > MAX_BODY_BYTES) throw tooLarge();
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of body) {
    size += part.length;
    if (size > MAX_BODY_BYTES) throw tooLarge();
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function tooLarge(): Failure {
  return new Failure("too_large", `The body is larger than ${MAX_BODY_BYTES / 1024} KiB.`);
}

function tooLate(): Failure {
  return new Failure("unavailable", "Parley took too long to answer. Try again.", {
    retryAfter: 5,
  });
}
