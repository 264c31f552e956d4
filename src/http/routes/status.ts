import { Hono } from "hono";
import { messageOf } from "../../errors.ts";
import { DeadlineExceeded, withDeadline } from "../../lib/deadline.ts";
import type { Metrics } from "../../observability/metrics.ts";

export interface StatusDeps {
  /** Each part of Parley: resolves when it works, rejects with the reason when not. */
  checks: Record<string, () => Promise<unknown>>;
  /** What takes over when the part of the same name does not work. */
  seconds?: () => Record<string, () => Promise<unknown>>;
  metrics: Metrics;
}

const CHECK_MS = 5000;

/** `/health` (this process answers), `/ready` (everything it needs works) and `/metrics`. */
export function statusRoutes({ checks, seconds = () => ({}), metrics }: StatusDeps): Hono {
  const app = new Hono();
  app.get("/health", (c) => c.json({ status: "ok" }));
  app.get("/ready", async (c) => {
    const [parts, takingOver] = await Promise.all([results(checks), results(seconds())]);
    const ready = Object.entries(parts).every(
      ([name, state]) => state === "ok" || takingOver[name] === "ok",
    );
    const second = Object.entries(takingOver).map(([name, state]) => [`${name}_fallback`, state]);
    c.header("Cache-Control", "no-store");
    return c.json(
      {
        status: ready ? "ok" : "unavailable",
        checks: { ...parts, ...Object.fromEntries(second) },
      },
      ready ? 200 : 503,
    );
  });
  app.get("/metrics", async (c) =>
    c.body(await metrics.text(), 200, { "Content-Type": metrics.contentType }),
  );
  return app;
}

async function results(checks: StatusDeps["checks"]): Promise<Record<string, string>> {
  const states = Object.entries(checks).map(
    async ([name, check]) => [name, await result(check)] as const,
  );
  return Object.fromEntries(await Promise.all(states));
}

async function result(check: () => Promise<unknown>): Promise<string> {
  try {
    await withDeadline(Promise.try(check), CHECK_MS, "the check");
    return "ok";
  } catch (error) {
    return error instanceof DeadlineExceeded ? `no answer within ${CHECK_MS} ms` : messageOf(error);
  }
}
