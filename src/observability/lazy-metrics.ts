import type { Logger } from "pino";
import { once } from "../lib/lazy.ts";
import type { MetricSources, Metrics } from "./metrics.ts";

/**
 * Metrics that load with the first event or reader, so that a start does not wait for prom-client.
 * What cannot be counted is logged once and never thrown: an event must reach its clients.
 */
export function lazyMetrics(
  sources: MetricSources,
  logger: Pick<Logger, "error">,
  load: () => Promise<Pick<typeof import("./metrics.ts"), "createMetrics">> = () =>
    import("./metrics.ts"),
): Metrics {
  const created = once(async () => (await load()).createMetrics(sources));
  let isReported = false;
  const count = (use: (metrics: Metrics) => void) => {
    created()
      .then(use)
      .catch((error: unknown) => {
        if (!isReported) logger.error({ err: error }, "events are missing in the metrics");
        isReported = true;
      });
  };
  return {
    observe: (event) => count((metrics) => metrics.observe(event)),
    stored: (ms) => count((metrics) => metrics.stored(ms)),
    startFailed: (cause) => count((metrics) => metrics.startFailed(cause)),
    text: async () => (await created()).text(),
    contentType: "text/plain; version=0.0.4; charset=utf-8",
  };
}
