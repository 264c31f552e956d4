import type { AgentState } from "../domain/transcript.ts";
import type { Problem, Step } from "./problems.ts";

export type Phase = "idle" | "connecting" | "live" | "reconnecting" | "stopping" | "failed";

/** Everything the page shows about the conversation except the transcript itself. */
export interface Conversation {
  phase: Phase;
  /** What is being done while connecting. */
  step: Step | null;
  sessionId: string | null;
  /** Ms since the epoch; the elapsed time counts from here. */
  startedAt: number | null;
  /** As last reported; `shownAgent` says what may be shown. */
  agent: AgentState;
  /** Whether the agent is known to be in the room. */
  agentPresent: boolean;
  userSpeaking: boolean;
  muted: boolean;
  soundBlocked: boolean;
  /** The transcript's WebSocket is down, so nothing is known about the agent. */
  socketDown: boolean;
  latencyMs: number | null;
  notice: Problem | null;
}

export const IDLE: Conversation = {
  phase: "idle",
  step: null,
  sessionId: null,
  startedAt: null,
  agent: "initializing",
  agentPresent: false,
  userSpeaking: false,
  muted: false,
  soundBlocked: false,
  socketDown: false,
  latencyMs: null,
  notice: null,
};

export type Action =
  | { type: "start"; step: Step }
  | { type: "step"; step: Step }
  | { type: "live"; sessionId: string; startedAt: number }
  | { type: "room"; state: "reconnecting" | "reconnected" }
  | { type: "stop" }
  | { type: "stopped" }
  | { type: "failed"; problem: Problem }
  | { type: "agent"; state: AgentState }
  | { type: "agent_present"; present: boolean }
  | { type: "user_speech"; speaking: boolean }
  | { type: "muted"; muted: boolean }
  | { type: "sound"; blocked: boolean }
  | { type: "socket"; down: boolean }
  | { type: "latency"; ms: number }
  | { type: "notice"; problem: Problem }
  | { type: "dismiss" };

/** Whether Start may begin a conversation: never while another one is under way. */
export function canStart(state: Conversation): boolean {
  return state.phase === "idle" || state.phase === "failed";
}

/** Whether there is something to stop. */
export function canStop(state: Conversation): boolean {
  return isLive(state) || state.phase === "connecting";
}

export function isLive(state: Conversation): boolean {
  return state.phase === "live" || state.phase === "reconnecting";
}

/**
 * The agent's state that may be shown. While the room or the transcript's connection is down, or
 * the agent has gone, nothing is known: then it is `off`, never a stale "listening".
 */
export function shownAgent(state: Conversation): AgentState | "off" {
  if (state.phase !== "live" || state.socketDown || !state.agentPresent) return "off";
  return state.agent;
}

/** The next state. Actions that do not fit the phase change nothing, so late events are harmless. */
export function reduce(state: Conversation, action: Action): Conversation {
  switch (action.type) {
    case "start":
      return canStart(state) ? { ...IDLE, phase: "connecting", step: action.step } : state;
    case "step":
      return state.phase === "connecting" ? { ...state, step: action.step } : state;
    case "live":
      if (state.phase !== "connecting") return state;
      return {
        ...state,
        phase: "live",
        step: null,
        sessionId: action.sessionId,
        startedAt: action.startedAt,
        agentPresent: true,
      };
    case "room":
      return withRoom(state, action.state);
    case "stop":
      return canStop(state) ? { ...quiet(state), phase: "stopping", notice: null } : state;
    case "stopped":
      return state.phase === "stopping" ? { ...IDLE, notice: state.notice } : state;
    case "failed":
      if (state.phase === "idle" || state.phase === "stopping") return state;
      return {
        ...IDLE,
        phase: action.problem.tone === "info" ? "idle" : "failed",
        notice: action.problem,
      };
    case "notice":
      return { ...state, notice: action.problem };
    case "dismiss":
      return { ...state, phase: state.phase === "failed" ? "idle" : state.phase, notice: null };
    default:
      return canStop(state) ? withSignal(state, action) : state;
  }
}

type Signal = Extract<
  Action,
  {
    type: "agent" | "agent_present" | "user_speech" | "muted" | "sound" | "socket" | "latency";
  }
>;

/** What happens inside a conversation without changing its phase. */
function withSignal(state: Conversation, action: Signal): Conversation {
  switch (action.type) {
    case "agent":
      return { ...state, agent: action.state, agentPresent: true };
    case "agent_present":
      return { ...state, agentPresent: action.present };
    case "user_speech":
      return { ...state, userSpeaking: action.speaking };
    case "muted":
      return { ...state, muted: action.muted };
    case "sound":
      return { ...state, soundBlocked: action.blocked };
    case "socket":
      return { ...state, socketDown: action.down, userSpeaking: false };
    case "latency":
      return { ...state, latencyMs: action.ms };
  }
}

function withRoom(state: Conversation, room: "reconnecting" | "reconnected"): Conversation {
  if (!isLive(state)) return state;
  if (room === "reconnecting") return { ...state, phase: "reconnecting", userSpeaking: false };
  return { ...state, phase: "live" };
}

/** No indicator may outlive the conversation it belongs to. */
function quiet(state: Conversation): Conversation {
  return { ...state, step: null, userSpeaking: false, soundBlocked: false, agentPresent: false };
}
