import { monitorEventLoopDelay } from "node:perf_hooks";
import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { RunnerState } from "../domain/model.ts";
import type { MetricSources, Metrics } from "./metrics.ts";

/** Histogram bounds in seconds; a write holds the event loop, which plays every voice. */
const WRITE_BUCKETS = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1];
/** How finely the event loop's delay is measured, in ms. */
const RESOLUTION_MS = 20;

/** Metrics by which an operator sees that this installation is in trouble. */
export function onOperation(
  sources: MetricSources,
  registers: Registry[],
): Pick<Metrics, "stored" | "startFailed"> {
  const write = new Histogram({
    name: "parley_event_write_seconds",
    help: "How long the event loop was held to store an event.",
    buckets: WRITE_BUCKETS,
    registers,
  });
  const failed = new Counter({
    name: "parley_session_starts_failed_total",
    help: "Sessions that could not start, by cause.",
    labelNames: ["cause"],
    registers,
  });
  readEventLoop(registers);
  readSources(sources, registers);
  return {
    stored: (ms) => write.observe(ms / 1000),
    startFailed: (cause) => failed.inc({ cause }),
  };
}

/** The longest delay since the last scrape; measured from the first one on. */
function readEventLoop(registers: Registry[]): void {
  let delay: ReturnType<typeof monitorEventLoopDelay> | undefined;
  new Gauge({
    name: "parley_event_loop_delay_seconds",
    help: "The longest delay of the event loop since the last scrape.",
    registers,
    collect() {
      delay ??= monitorEventLoopDelay({ resolution: RESOLUTION_MS });
      delay.enable();
      this.set(Math.max(0, delay.max / 1e9 - RESOLUTION_MS / 1000));
      delay.reset();
    },
  });
}

function readSources(sources: MetricSources, registers: Registry[]): void {
  new Gauge({
    name: "parley_database_bytes",
    help: "Size of the database's file and its write-ahead log.",
    labelNames: ["part"],
    registers,
    collect() {
      const { file, log } = sources.databaseBytes();
      this.set({ part: "file" }, file);
      this.set({ part: "log" }, log);
    },
  });
  new Gauge({
    name: "parley_events_waiting",
    help: "Events that wait until the disk takes them.",
    registers,
    collect() {
      this.set(sources.unstoredEvents().waiting);
    },
  });
  counter("parley_events_lost_total", "Events that could not be stored.", registers, () => [
    [{}, sources.unstoredEvents().lost],
  ]);
  counter(
    "parley_uncaught_errors_total",
    "Errors that reached no handler and were outlived.",
    registers,
    () => [[{}, sources.uncaughtErrors()]],
  );
  counter("parley_child_restarts_total", "Children that were started again.", registers, () => [
    [{ child: "livekit" }, sources.livekitRestarts()],
    [{ child: "engine" }, sources.runners().reduce((sum, { restarts }) => sum + restarts, 0)],
  ]);
  readRunners(sources, registers);
  const backlog = sources.redisBacklog;
  if (backlog() === undefined) return;
  new Gauge({
    name: "parley_redis_backlog",
    help: "Sessions of which events wait for Redis.",
    registers,
    collect() {
      this.set(backlog() ?? 0);
    },
  });
}

/** The processes of local models. */
function readRunners({ runners }: MetricSources, registers: Registry[]): void {
  const byStage = (name: string, help: string, read: (runner: RunnerState) => number | undefined) =>
    new Gauge({
      ...{ name, help, registers },
      labelNames: ["stage"],
      collect() {
        this.reset();
        for (const runner of runners()) {
          const value = read(runner);
          if (value !== undefined) this.set({ stage: runner.stage }, value);
        }
      },
    });
  byStage(
    "parley_engine_restarts",
    "How often the process of a stage's local models was started again.",
    ({ restarts }) => restarts,
  );
  byStage(
    "parley_engine_resident_bytes",
    "Memory of the process of a stage's local models.",
    ({ residentBytes }) => residentBytes,
  );
  byStage("parley_engine_models_loaded", "Local models in memory.", ({ loaded }) => loaded.length);
}

/** A counter of something that is counted elsewhere. */
function counter(
  name: string,
  help: string,
  registers: Registry[],
  read: () => [labels: Record<string, string>, value: number][],
): void {
  const labelNames = read().flatMap(([labels]) => Object.keys(labels));
  new Counter({
    name,
    help,
    labelNames: [...new Set(labelNames)],
    registers,
    collect() {
      this.reset();
      for (const [labels, value] of read()) this.inc(labels, value);
    },
  });
}
