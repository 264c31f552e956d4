import { setImmediate } from "node:timers/promises";
import type { Logger } from "pino";
import type { RunningAgentOptions } from "./running-agent.ts";

/** A running agent as the session manager sees it. */
export interface Agent {
  say(text: string): Promise<void>;
  close(): Promise<void>;
}

/** The loaded agent stack: LiveKit's agents library, WebRTC and the VAD model. */
export interface AgentStack {
  start(options: RunningAgentOptions, signal: AbortSignal): Promise<Agent>;
  /** Releases the VAD model and WebRTC's threads. No agent may be running. */
  close(): Promise<void>;
}

/** The global symbol under which the agents library looks for its logger. */
const AGENTS_LOGGER = Symbol.for("@livekit/agents:logger");

/** Large packages that the agents library imports, as far as Parley depends on them directly. */
const LARGE_PACKAGES = [
  () => import("@livekit/rtc-node"),
  () => import("livekit-server-sdk"),
  () => import("openai"),
  () => import("onnxruntime-node"),
  () => import("@opentelemetry/sdk-trace-node"),
  () => import("@opentelemetry/exporter-trace-otlp-proto"),
];

/**
 * Loads the agent stack. That takes most of a second and 170 MB, so everything large is imported
 * here, on first use, and not when the server starts.
 *
 * @param vadModelPath the file of silero's model
 */
export async function loadAgentStack(logger: Logger, vadModelPath: string): Promise<AgentStack> {
  // An import blocks the event loop. Between two of them, waiting requests are answered.
  for (const load of LARGE_PACKAGES) {
    await load();
    await setImmediate();
  }
  const agents = await import("@livekit/agents");
  agents.initializeLogger({ pretty: false, level: "silent" });
  // The library's own logger writes to stdout in another format and includes what people said.
  const libraryLogger = logger.child(
    { part: "agents" },
    { level: libraryLevel(logger.level), formatters: { log: withoutPersonalData } },
  );
  Object.assign(globalThis, { [AGENTS_LOGGER]: libraryLogger });
  const { redirectRtcLog, disposeWebRtc } = await import("./webrtc.ts");
  redirectRtcLog(libraryLogger);
  const [{ RunningAgent }, { loadVadModel }, { ModelMemory }] = await Promise.all([
    import("./running-agent.ts"),
    import("./vad.ts"),
    import("../providers/model-memory.ts"),
  ]);
  const vadModel = await loadVadModel(vadModelPath);
  const shared = { vadModel, memory: new ModelMemory() };
  return {
    start: (options, signal) => RunningAgent.start(options, shared, signal),
    close: async () => {
      await vadModel.release();
      await disposeWebRtc();
    },
  };
}

/** The library's `info` lines are details to Parley: they appear only at level `debug`. */
function libraryLevel(level: string): string {
  return level === "info" ? "warn" : level;
}

/** The library marks fields with what people said, or who they are, by a prefix of the name. */
function withoutPersonalData(fields: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !name.startsWith("lk.pii.")));
}
