import type { Context } from "hono";
import { streamSSE } from "hono/streaming";
import { Failure } from "../errors.ts";
import { isHtmx } from "./request.ts";

/** Proxies close connections that are silent for long. */
const KEEP_ALIVE_MS = 15_000;

/**
 * Sends a fragment of a page as server-sent events: at once, and whenever it has changed. The page
 * connects again when the stream ends, which `boundRequest` does after some minutes.
 *
 * @param subscribe calls `onChange` when the fragment may have changed
 */
export function liveFragment(
  c: Context,
  subscribe: (onChange: () => void) => Disposable,
  render: () => Promise<string>,
): Response {
  c.header("Cache-Control", "no-store");
  c.header("X-Accel-Buffering", "no");
  return streamSSE(c, async (stream) => {
    let changed = Promise.withResolvers<void>();
    using _subscription = subscribe(() => changed.resolve());
    stream.onAbort(() => changed.resolve());
    for (let last = ""; !stream.aborted && !stream.closed; ) {
      const html = await render().catch((error: unknown) => nothing(error, c));
      if (html === last) await stream.write(": keep-alive\n\n");
      else await stream.writeSSE({ data: html });
      last = html;
      await changedOrKeepAlive(changed.promise);
      changed = Promise.withResolvers<void>();
    }
  });
}

/**
 * Answers an action whose effect the page learns from its event stream. A fragment in this response
 * could be older than what an event has brought in the meantime. Without HTMX the page reloads.
 */
export function acknowledge(c: Context, page: string): Response {
  return isHtmx(c) ? c.body(null, 204) : c.redirect(page, 303);
}

/** What cannot be rendered now may be soon, so nothing is swapped in. */
function nothing(error: unknown, c: Context): string {
  if (!(error instanceof Failure)) c.var.reportError(error);
  return "";
}

async function changedOrKeepAlive(work: Promise<void>): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, KEEP_ALIVE_MS);
  timer.unref();
  await Promise.race([work, late.promise]);
  clearTimeout(timer);
}
