import { expect, test } from "bun:test";
import { envelopeOf, idleSources, memoryLogger } from "../../test/event-log.ts";
import { lazyMetrics } from "./lazy-metrics.ts";

const started = envelopeOf("s", 1, { type: "session", data: { state: "active" } });

test("metrics that could not be loaded are loaded later, and events raise no error", async () => {
  const logger = memoryLogger();
  let loads = 0;
  const metrics = lazyMetrics(idleSources, logger, async () => {
    loads += 1;
    if (loads < 3) throw new Error("no file descriptor is left");
    return import("./metrics.ts");
  });
  metrics.observe(started);
  await expect(metrics.text()).rejects.toThrow("no file descriptor");
  metrics.observe(started);
  await expect(metrics.text()).rejects.toThrow("no file descriptor");
  metrics.observe(started);
  expect(await metrics.text()).toContain("parley_sessions_started_total 1\n");
  expect(logger.lines.map(({ msg }) => msg)).toEqual(["events are missing in the metrics"]);
});
