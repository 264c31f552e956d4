import type { AgentState } from "../domain/transcript.ts";
import type { Problem, Step } from "./problems.ts";

export type Phase = "idle" | "connecting" | "live" | "reconnecting" | "stopping" | "failed";

/** Everything the page shows about the conversation except the transcript itself. */
export interface Conversation {
  phase: Phase;
  /** The current step while connecting, else null. */
  step: Step | null;
  sessionId: string | null;
  /** When the conversation began, ms since the epoch. */
  startedAt: number | null;
  /** As last reported; `shownAgent` decides what is shown of it. */
  agent: AgentState;
  /** Whether the agent is known to be in the room. */
  agentPresent: boolean;
  userSpeaking: boolean;
  muted: boolean;
  /** Whether the browser refuses to play sound until the person clicks. */
  soundBlocked: boolean;
  /** Whether the transcript's WebSocket is down, so that the agent's state is unknown. */
  socketDown: boolean;
  /** From the end of the person's speech to the agent's voice, in the last turn. */
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

/** Whether a conversation may start: not while another one is running. */
export function canStart(state: Conversation): boolean {
  return state.phase === "idle" || state.phase === "failed";
}

/** Whether a conversation is running or starting. */
export function canStop(state: Conversation): boolean {
  return isLive(state) || state.phase === "connecting";
}

export function isLive(state: Conversation): boolean {
  return state.phase === "live" || state.phase === "reconnecting";
}

/**
 * The agent's state to show. While the room or the transcript's connection is down, or the agent
 * has left, its state is unknown: then this is `off`, never a stale "listening".
 */
export function shownAgent(state: Conversation): AgentState | "off" {
  if (state.phase !== "live" || state.socketDown || !state.agentPresent) return "off";
  return state.agent;
}

/** The next state. An action that does not fit the phase changes nothing, so late events do no harm. */
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
      return canStop(state)
        ? { ...withoutIndicators(state), phase: "stopping", notice: null }
        : state;
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

/** Applies an action that does not change the phase. */
function withSignal(state: Conversation, action: Signal): Conversation {
  switch (action.type) {
    case "agent":
      return {
        ...state,
        agent: action.state,
        agentPresent: true,
        notice: action.state === "speaking" && state.notice?.transient ? null : state.notice,
      };
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

/** Clears what must not be shown any longer than the conversation lasts. */
function withoutIndicators(state: Conversation): Conversation {
  return { ...state, step: null, userSpeaking: false, soundBlocked: false, agentPresent: false };
}
