import { expect, test } from "bun:test";
import { createMetrics } from "./metrics.ts";

const metrics = () => createMetrics({ liveSessions: () => 2, socketClients: () => 5 });

const final = {
  type: "transcript",
  data: { segment_id: "s", role: "user", identity: "ann", text: "hi", final: true, started_at: 0 },
} as const;

test("sessions, segments and errors are counted by what they are", async () => {
  const all = metrics();
  all.observe({ type: "session", data: { state: "starting" } });
  all.observe({ type: "session", data: { state: "active" } });
  all.observe({ type: "session", data: { state: "ended", reason: "idle" } });
  all.observe({ type: "session", data: { state: "ended" } });
  all.observe(final);
  all.observe({ ...final, data: { ...final.data, final: false } });
  all.observe({
    type: "error",
    data: { code: "provider_failed", message: "No.", stage: "llm", recoverable: true },
  });
  all.observe({
    type: "error",
    data: { code: "session_idle", message: "No.", recoverable: false },
  });
  const text = await all.text();
  for (const line of [
    "parley_sessions_started_total 1",
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
});

test("a turn's latency is kept by part, in seconds, without what was not measured", async () => {
  const all = metrics();
  all.observe({
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
  one.observe({ ...final, data: { ...final.data, text: "secret words", identity: "anna" } });
  expect(await one.text()).toContain('parley_segments_total{role="user"} 1');
  expect(await other.text()).not.toContain('parley_segments_total{role="user"}');
  expect(await one.text()).not.toMatch(/secret words|anna/);
});
