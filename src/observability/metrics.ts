import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { RunnerState } from "../domain/model.ts";
import { type Envelope, isSessionEnd, type TurnMetrics } from "../domain/transcript.ts";
import { onOperation } from "./operation-metrics.ts";

/** Histogram bounds in seconds, around the delays that people notice in a conversation. */
const LATENCY_BUCKETS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1, 1.5, 2, 3, 5, 10];

/** Values that are read when metrics are scraped. */
export interface MetricSources {
  liveSessions(): number;
  socketClients(): number;
  /** Of the database's file and its write-ahead log, in bytes. */
  databaseBytes(): { file: number; log: number };
  /** Events that wait until the disk takes them, and those that were given up. */
  unstoredEvents(): { waiting: number; lost: number };
  /** How often LiveKit's server was started again. */
  livekitRestarts(): number;
  /** The processes of local models. */
  runners(): RunnerState[];
  uncaughtErrors(): number;
  /** Sessions of which events wait for Redis; undefined without Redis. */
  redisBacklog(): number | undefined;
}

export interface Metrics {
  /** Updates the metrics from an event that was stored. */
  observe(event: Envelope): void;
  /** Storing an event took so long, in ms. */
  stored(ms: number): void;
  /** A session could not start. @param cause a kind of `Failure`, or `unexpected` */
  startFailed(cause: string): void;
  /** The Prometheus text format. */
  text(): Promise<string>;
  contentType: string;
}

/** Prometheus metrics of one app. */
export function createMetrics(sources: MetricSources): Metrics {
  const registers = [new Registry()];
  const [registry] = registers as [Registry];
  const ended = new Counter({
    name: "parley_sessions_ended_total",
    help: "Sessions that ended, by reason.",
    labelNames: ["reason"],
    registers,
  });
  const started = new Counter({
    name: "parley_sessions_started_total",
    help: "Sessions whose agent joined its room.",
    registers,
  });
  const segments = new Counter({
    name: "parley_segments_total",
    help: "Final transcript segments, by role.",
    labelNames: ["role"],
    registers,
  });
  const errors = new Counter({
    name: "parley_errors_total",
    help: "Errors shown to users, by stage and code.",
    labelNames: ["stage", "code"],
    registers,
  });
  const latency = new Histogram({
    name: "parley_turn_latency_seconds",
    help: "Latency of a turn, by part; voice_to_voice is measured from the end of the user's speech to the agent's first audio.",
    labelNames: ["part"],
    buckets: LATENCY_BUCKETS,
    registers,
  });
  const active = new Set<string>();
  const operation = onOperation(sources, registers);
  gauge("parley_sessions_live", "Sessions that are live now.", sources.liveSessions, registers);
  gauge("parley_websocket_clients", "Open transcript sockets.", sources.socketClients, registers);
  return {
    observe(event) {
      if (event.type === "session" && event.data.state === "active") {
        active.add(event.session_id);
        started.inc();
      }
      // One that never became active is a failed start, and one of an earlier process was counted there.
      if (isSessionEnd(event) && active.delete(event.session_id)) {
        ended.inc({ reason: event.data.reason ?? "unknown" });
      }
      if (event.type === "transcript" && event.data.final) segments.inc({ role: event.data.role });
      if (event.type === "error") {
        errors.inc({ stage: event.data.stage ?? "session", code: event.data.code });
      }
      if (event.type === "metrics") observeTurn(latency, event.data);
    },
    stored: operation.stored,
    startFailed: operation.startFailed,
    text: () => registry.metrics(),
    contentType: registry.contentType,
  };
}

function gauge(name: string, help: string, read: () => number, registers: Registry[]): void {
  new Gauge({
    name,
    help,
    registers,
    collect() {
      this.set(read());
    },
  });
}

function observeTurn(latency: Histogram<"part">, turn: TurnMetrics): void {
  const parts = {
    endpointing: turn.endpointing_ms,
    stt: turn.stt_ms,
    llm_ttft: turn.llm_ttft_ms,
    tts_ttfb: turn.tts_ttfb_ms,
    voice_to_voice: turn.voice_to_voice_ms,
  };
  for (const [part, value] of Object.entries(parts)) {
    if (value !== null) latency.observe({ part }, value / 1000);
  }
}
