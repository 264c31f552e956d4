import { expect, test } from "bun:test";
import { envelopeOf, idleSources } from "../../test/event-log.ts";
import type { SessionEvent } from "../domain/transcript.ts";
import { createMetrics, type MetricSources, type Metrics } from "./metrics.ts";

function observe(metrics: Metrics, event: SessionEvent, session = "s"): void {
  metrics.observe(envelopeOf(session, 1, event));
}

const metrics = (change: Partial<MetricSources> = {}) =>
  createMetrics({ ...idleSources, liveSessions: () => 2, socketClients: () => 5, ...change });

const final = {
  type: "transcript",
  data: { segment_id: "s", role: "user", identity: "ann", text: "hi", final: true, started_at: 0 },
} as const;

test("sessions, segments and errors are counted by what they are", async () => {
  const all = metrics();
  observe(all, { type: "session", data: { state: "starting" } });
  observe(all, { type: "session", data: { state: "active" } });
  observe(all, { type: "session", data: { state: "ended", reason: "idle" } });
  observe(all, { type: "session", data: { state: "active" } }, "another");
  observe(all, { type: "session", data: { state: "ended" } }, "another");
  observe(all, final);
  observe(all, { ...final, data: { ...final.data, final: false } });
  observe(all, {
    type: "error",
    data: { code: "provider_failed", message: "No.", stage: "llm", recoverable: true },
  });
  observe(all, {
    type: "error",
    data: { code: "session_idle", message: "No.", recoverable: false },
  });
  const text = await all.text();
  for (const line of [
    "parley_sessions_started_total 2",
    'parley_sessions_ended_total{reason="idle"} 1',
    'parley_sessions_ended_total{reason="unknown"} 1',
    'parley_segments_total{role="user"} 1',
    'parley_errors_total{stage="llm",code="provider_failed"} 1',
    'parley_errors_total{stage="session",code="session_idle"} 1',
    "parley_sessions_live 2",
    "parley_websocket_clients 5",
  ]) {
    expect(text.split("\n")).toContain(line);
  }
  expect(text).not.toContain('parley_engine_resident_bytes{stage="tts"}');
});

test("a turn's latency is kept by part, in seconds, without what was not measured", async () => {
  const all = metrics();
  observe(all, {
    type: "metrics",
    data: {
      turn_id: "t",
      endpointing_ms: 330,
      stt_ms: null,
      llm_ttft_ms: 200,
      tts_ttfb_ms: 150,
      voice_to_voice_ms: 620,
      prompt_tokens: 10,
      completion_tokens: 5,
    },
  });
  const text = await all.text();
  expect(text).toContain('parley_turn_latency_seconds_sum{part="voice_to_voice"} 0.62\n');
  expect(text).toContain('parley_turn_latency_seconds_bucket{le="0.65",part="voice_to_voice"} 1\n');
  expect(text).toContain('parley_turn_latency_seconds_bucket{le="0.5",part="voice_to_voice"} 0\n');
  expect(text).not.toContain('part="stt"');
});

test("two apps in one process count separately, and reveal no words or names", async () => {
  const [one, other] = [metrics(), metrics()];
  observe(one, { ...final, data: { ...final.data, text: "secret words", identity: "anna" } });
  expect(await one.text()).toContain('parley_segments_total{role="user"} 1');
  expect(await other.text()).not.toContain('parley_segments_total{role="user"}');
  expect(await one.text()).not.toMatch(/secret words|anna/);
});

test("a session that never became active is no ended one", async () => {
  const all = metrics();
  observe(all, { type: "session", data: { state: "ended", reason: "agent_failed" } });
  observe(all, { type: "session", data: { state: "ended", reason: "crashed" } }, "of yesterday");
  all.startFailed("unavailable");
  const text = await all.text();
  expect(text).not.toContain("parley_sessions_ended_total{");
  expect(text).toContain('parley_session_starts_failed_total{cause="unavailable"} 1\n');
});

test("an operator sees what the installation suffers from, read at each scrape", async () => {
  let restarts = 0;
  const all = metrics({
    databaseBytes: () => ({ file: 4096, log: 100 }),
    unstoredEvents: () => ({ waiting: 3, lost: 2 }),
    livekitRestarts: () => restarts,
    runners: () => [
      { stage: "llm", restarts: 1, residentBytes: 5000, loaded: ["mind"] },
      { stage: "tts", restarts: 2, residentBytes: undefined, loaded: [] },
    ],
    uncaughtErrors: () => 7,
    redisBacklog: () => 4,
  });
  all.stored(3);
  await all.text();
  restarts = 2;
  // The measurement begins with its first tick, and notices the delay at the next.
  await Bun.sleep(60);
  Bun.sleepSync(150);
  await Bun.sleep(60);
  const text = await all.text();
  for (const line of [
    'parley_database_bytes{part="file"} 4096',
    'parley_database_bytes{part="log"} 100',
    "parley_events_waiting 3",
    "parley_events_lost_total 2",
    'parley_child_restarts_total{child="livekit"} 2',
    'parley_child_restarts_total{child="engine"} 3',
    'parley_engine_restarts{stage="tts"} 2',
    'parley_engine_resident_bytes{stage="llm"} 5000',
    'parley_engine_models_loaded{stage="llm"} 1',
    'parley_engine_models_loaded{stage="tts"} 0',
    "parley_uncaught_errors_total 7",
    "parley_redis_backlog 4",
    'parley_event_write_seconds_bucket{le="0.005"} 1',
    'parley_event_write_seconds_bucket{le="0.001"} 0',
  ]) {
    expect(text.split("\n")).toContain(line);
  }
  expect(text).not.toContain('parley_engine_resident_bytes{stage="tts"}');
  expect(Number(/^parley_event_loop_delay_seconds (.+)$/m.exec(text)?.[1])).toBeGreaterThan(0.05);
});

test("without Redis it has no backlog", async () => {
  expect(await metrics().text()).not.toContain("parley_redis_backlog");
});
