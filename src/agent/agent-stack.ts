import { setImmediate } from "node:timers/promises";
import type { Logger } from "pino";
import type { RunningAgentOptions } from "./running-agent.ts";

/** What the manager needs of a running agent. */
export interface Agent {
  say(text: string): Promise<void>;
  close(): Promise<void>;
}

/** The loaded agent stack: LiveKit's agents, WebRTC and the VAD model. */
export interface AgentStack {
  start(options: RunningAgentOptions, signal: AbortSignal): Promise<Agent>;
  /** Lets go of the WebRTC threads; no agent may run any more. */
  close(): Promise<void>;
}

/** Where the agents library looks for its logger. */
const AGENTS_LOGGER = Symbol.for("@livekit/agents:logger");

/** What the agents library imports anyway and is large, as far as it is Parley's own dependency. */
const LARGE_PARTS = [
  () => import("@livekit/rtc-node"),
  () => import("livekit-server-sdk"),
  () => import("openai"),
  () => import("onnxruntime-node"),
  () => import("@opentelemetry/sdk-trace-node"),
  () => import("@opentelemetry/exporter-trace-otlp-proto"),
];

/**
 * Loads the agent stack. It costs most of a second and 170 MB, so this module and what it imports
 * are loaded on first use, after the server listens.
 *
 * @param vadModelPath silero's model
 */
export async function loadAgentStack(logger: Logger, vadModelPath: string): Promise<AgentStack> {
  // Loading runs without a pause: in pieces, requests are answered between them.
  for (const load of LARGE_PARTS) {
    await load();
    await setImmediate();
  }
  const agents = await import("@livekit/agents");
  agents.initializeLogger({ pretty: false, level: "silent" });
  // The library would write lines of its own format, with what people said in them, to stdout.
  const quiet = logger.child(
    { part: "agents" },
    { level: quieter(logger.level), formatters: { log: withoutPrivateWords } },
  );
  Object.assign(globalThis, { [AGENTS_LOGGER]: quiet });
  const { redirectRtcLog, disposeWebRtc } = await import("./webrtc.ts");
  redirectRtcLog(quiet);
  const [{ RunningAgent }, { loadVadModel }] = await Promise.all([
    import("./running-agent.ts"),
    import("./pipeline.ts"),
  ]);
  const vadModel = await loadVadModel(vadModelPath);
  return {
    start: (options, signal) => RunningAgent.start(options, vadModel, signal),
    close: async () => {
      await vadModel.release();
      await disposeWebRtc();
    },
  };
}

/** The library's `info` is our `debug`; its warnings stay warnings. */
function quieter(level: string): string {
  return level === "info" ? "warn" : level;
}

/** The library marks by their names the fields that hold what people said or who they are. */
function withoutPrivateWords(fields: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !name.startsWith("lk.pii.")));
}
