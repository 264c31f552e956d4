import type { Context } from "hono";
import { streamSSE } from "hono/streaming";
import { Failure } from "../errors.ts";

/** Proxies and Parley's own server end connections that are silent for long. */
const KEEP_ALIVE_MS = 15_000;

/**
 * Sends a fragment of a page as server-sent events: at once, and whenever it has changed.
 *
 * @param subscribe tells of what may have changed it
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
      const html = await render().catch(refusal);
      if (html === last) await stream.write(": still here\n\n");
      else await stream.writeSSE({ data: html });
      last = html;
      await inTime(changed.promise);
      changed = Promise.withResolvers<void>();
    }
  });
}

/**
 * The answer to a change that the page sees by its events: a fragment in the answer could be older
 * than what an event has brought meanwhile. Without HTMX the page is shown anew.
 */
export function seenByEvents(c: Context, page: string): Response {
  return c.req.header("HX-Request") ? c.body(null, 204) : c.redirect(page, 303);
}

/** What cannot be shown now may be in a moment: nothing is swapped then. */
function refusal(error: unknown): string {
  if (error instanceof Failure) return "";
  throw error;
}

async function inTime(work: Promise<void>): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, KEEP_ALIVE_MS);
  timer.unref();
  await Promise.race([work, late.promise]);
  clearTimeout(timer);
}
