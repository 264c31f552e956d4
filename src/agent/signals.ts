import { type metrics, voice } from "@livekit/agents";
import { describeProviderError } from "../providers/provider-errors.ts";
import type { AgentSignal, Latency } from "./normalize-events.ts";

type Emit = (signal: AgentSignal) => void;

/** What a session's `error` event carries, whichever stage it comes from. */
interface StageError {
  type?: string;
  error?: unknown;
  recoverable?: boolean;
}

const STAGES: Record<string, "stt" | "llm" | "tts"> = {
  stt_error: "stt",
  llm_error: "llm",
  tts_error: "tts",
};

/**
 * Reports everything that a session's events say as signals.
 * @returns a function that stops the reports
 */
export function reportSignals(session: voice.AgentSession, emit: Emit): () => void {
  const events = voice.AgentSessionEventTypes;
  const onUserState = (event: voice.UserStateChangedEvent) => {
    emit({ kind: "user_speech", speaking: event.newState === "speaking" });
  };
  const onAgentState = (event: voice.AgentStateChangedEvent) => {
    emit({ kind: "agent_state", state: event.newState });
  };
  const onText = (event: voice.UserInputTranscribedEvent) => {
    emit({ kind: "user_text", text: event.transcript, final: event.isFinal });
  };
  const onItem = (event: voice.ConversationItemAddedEvent) => reportItem(event, emit);
  const onMetrics = (event: voice.MetricsCollectedEvent) => reportTokens(event.metrics, emit);
  const onError = (event: voice.ErrorEvent) => reportError(event.error, emit);
  session.on(events.UserStateChanged, onUserState);
  session.on(events.AgentStateChanged, onAgentState);
  session.on(events.UserInputTranscribed, onText);
  session.on(events.ConversationItemAdded, onItem);
  session.on(events.MetricsCollected, onMetrics);
  session.on(events.Error, onError);
  return () => {
    session.off(events.UserStateChanged, onUserState);
    session.off(events.AgentStateChanged, onAgentState);
    session.off(events.UserInputTranscribed, onText);
    session.off(events.ConversationItemAdded, onItem);
    session.off(events.MetricsCollected, onMetrics);
    session.off(events.Error, onError);
  };
}

function reportItem(event: voice.ConversationItemAddedEvent, emit: Emit): void {
  const { item } = event;
  if (item.type !== "message") return;
  const text = item.textContent ?? "";
  const latency: Latency = { ...item.metrics };
  if (item.role === "user") emit({ kind: "user_item", text, latency });
  if (item.role === "assistant") {
    emit({ kind: "agent_turn", text, interrupted: item.interrupted, latency });
  }
}

function reportTokens(measured: metrics.AgentMetrics, emit: Emit): void {
  if (measured.type !== "llm_metrics" || measured.cancelled) return;
  emit({ kind: "tokens", prompt: measured.promptTokens, completion: measured.completionTokens });
}

function reportError(reported: StageError, emit: Emit): void {
  const stage = STAGES[reported.type ?? ""];
  if (!stage) return;
  const problem = describeProviderError(stage, reported.error);
  // A failed answer ends a turn; only speech recognition itself knows when it can go on no longer.
  const recoverable = stage !== "stt" || reported.recoverable !== false;
  emit({ kind: "error", stage, ...problem, recoverable });
}

/** The part of the session's transcription output that this module relies on. */
interface PacedOutput {
  nextInChain?: { _sinks?: TextSink[] };
}
type TextSink = NonNullable<voice.AgentSession["output"]["transcription"]>;

/**
 * Reports the agent's words as its voice reaches them. The session writes them to LiveKit's text
 * streams through a list of sinks; ours is added to that list, behind the pacing.
 *
 * @throws Error if the agents library keeps its sinks elsewhere, which a new version may
 */
export function reportSpokenText(session: voice.AgentSession, emit: Emit): void {
  const paced = session.output.transcription as unknown as PacedOutput | null;
  const sinks = paced?.nextInChain?._sinks;
  if (!sinks) throw new Error("this version of @livekit/agents has no paced transcription sinks");
  const sink = {
    captureText: async (text: string | voice.TimedString) => {
      emit({ kind: "agent_text", text: typeof text === "string" ? text : text.text });
    },
    flush: () => {},
    onAttached: () => {},
    onDetached: () => {},
  };
  sinks.push(sink as unknown as TextSink);
}
