import { Hono } from "hono";
import { messageOf } from "../../errors.ts";
import { DeadlineExceeded, withDeadline } from "../../lib/deadline.ts";
import type { Metrics } from "../../observability/metrics.ts";

export interface StatusDeps {
  /** Throws the reason while no conversations are taken, because Parley is about to end. */
  assertOpen(): void;
  /** Each part of Parley: resolves when it works, rejects with the reason when not. */
  checks: Record<string, () => Promise<unknown>>;
  /** What takes over when the part of the same name does not work. */
  seconds?: () => Record<string, () => Promise<unknown>>;
  metrics: Metrics;
}

const CHECK_MS = 5000;
/** How long a result counts, good or bad, in ms: anybody may ask, and each check costs a request. */
const KNOWN_MS = 3000;

/** `/health` (this process answers), `/ready` (everything it needs works) and `/metrics`. */
export function statusRoutes(deps: StatusDeps): Hono {
  const { assertOpen, checks, seconds = () => ({}), metrics } = deps;
  const app = new Hono();
  const known = { checks: new Map(), seconds: new Map() };
  app.get("/health", (c) => c.json({ status: "ok" }));
  app.get("/ready", async (c) => {
    const [parts, takingOver] = await Promise.all([
      results(checks, known.checks),
      results(seconds(), known.seconds),
    ]);
    // Read at once, since a load balancer has to know before the next person comes.
    const conversations = await result(async () => assertOpen());
    const works = Object.entries(parts).every(
      ([name, state]) => state === "ok" || takingOver[name] === "ok",
    );
    const open = conversations === "ok";
    const second = Object.entries(takingOver).map(([name, state]) => [`${name}_fallback`, state]);
    c.header("Cache-Control", "no-store");
    return c.json(
      {
        status: !open ? "draining" : works ? "ok" : "unavailable",
        checks: { ...(open ? {} : { conversations }), ...parts, ...Object.fromEntries(second) },
      },
      open && works ? 200 : 503,
    );
  });
  app.get("/metrics", async (c) =>
    c.body(await metrics.text(), 200, { "Content-Type": metrics.contentType }),
  );
  return app;
}

/** Results by the name of the part, until they are too old. */
type KnownResults = Map<string, Promise<string>>;

async function results(
  checks: StatusDeps["checks"],
  known: KnownResults,
): Promise<Record<string, string>> {
  const states = Object.entries(checks).map(
    async ([name, check]) => [name, await sharedResult(name, check, known)] as const,
  );
  return Object.fromEntries(await Promise.all(states));
}

/** All callers share one check of a part, while it runs and for a while after. */
function sharedResult(
  name: string,
  check: () => Promise<unknown>,
  known: KnownResults,
): Promise<string> {
  const running = known.get(name) ?? result(check);
  if (!known.has(name)) {
    known.set(name, running);
    void running.then(() => setTimeout(() => known.delete(name), KNOWN_MS).unref());
  }
  return running;
}

async function result(check: () => Promise<unknown>): Promise<string> {
  try {
    await withDeadline(Promise.try(check), CHECK_MS, "the check");
    return "ok";
  } catch (error) {
    return error instanceof DeadlineExceeded ? `no answer within ${CHECK_MS} ms` : messageOf(error);
  }
}
