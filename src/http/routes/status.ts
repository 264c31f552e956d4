import { Hono } from "hono";
import { messageOf } from "../../errors.ts";
import { DeadlineExceeded, withDeadline } from "../../lib/deadline.ts";
import type { Metrics } from "../../observability/metrics.ts";

export interface StatusDeps {
  /** Each part of Parley: resolves when it works, rejects with the reason when not. */
  checks: Record<string, () => Promise<unknown>>;
  metrics: Metrics;
}

const CHECK_MS = 5000;

/** `/health` (this process answers), `/ready` (everything it needs works) and `/metrics`. */
export function statusRoutes({ checks, metrics }: StatusDeps): Hono {
  const app = new Hono();
  app.get("/health", (c) => c.json({ status: "ok" }));
  app.get("/ready", async (c) => {
    const parts = await Promise.all(
      Object.entries(checks).map(async ([name, check]) => [name, await result(check)] as const),
    );
    const ready = parts.every(([, state]) => state === "ok");
    c.header("Cache-Control", "no-store");
    return c.json(
      { status: ready ? "ok" : "unavailable", checks: Object.fromEntries(parts) },
      ready ? 200 : 503,
    );
  });
  app.get("/metrics", async (c) =>
    c.body(await metrics.text(), 200, { "Content-Type": metrics.contentType }),
  );
  return app;
}

async function result(check: () => Promise<unknown>): Promise<string> {
  try {
    await withDeadline(Promise.try(check), CHECK_MS, "the check");
    return "ok";
  } catch (error) {
    return error instanceof DeadlineExceeded ? `no answer within ${CHECK_MS} ms` : messageOf(error);
  }
}
