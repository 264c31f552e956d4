import { once } from "../lib/lazy.ts";
import type { MetricSources, Metrics } from "./metrics.ts";

/** Metrics that load with the first event or reader, so that a start does not wait for prom-client. */
export function lazyMetrics(sources: MetricSources): Metrics {
  const load = once(async () => (await import("./metrics.ts")).createMetrics(sources));
  return {
    observe: (event) => void load().then((metrics) => metrics.observe(event)),
    text: async () => (await load()).text(),
    contentType: "text/plain; version=0.0.4; charset=utf-8",
  };
}
