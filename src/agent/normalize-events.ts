import type {
  AgentState,
  ErrorSource,
  Notice,
  Role,
  SessionEvent,
  TurnMetrics,
} from "../domain/transcript.ts";

/**
 * What happens in the agent, as plain data: events of AgentSession, the agent's words paced with
 * its voice, and typed messages.
 */
export type AgentSignal =
  | { kind: "user_speech"; speaking: boolean }
  | { kind: "agent_state"; state: "idle" | AgentState }
  /**
   * STT text of the current utterance. `final` ends the utterance, but not the turn. `language` is
   * what the recogniser has heard, as a BCP 47 tag, if it tells.
   */
  | { kind: "user_text"; text: string; final: boolean; language?: string | undefined }
  /** The user's turn is over. `text` is the text of the whole turn. */
  | { kind: "user_turn"; text: string }
  | { kind: "typed"; text: string }
  /** The next words of the agent, at the moment its voice reaches them. */
  | { kind: "agent_text"; text: string }
  | { kind: "agent_turn"; text: string; interrupted: boolean; latency: Latency }
  /** A message of the user was added to the conversation. It ends a turn that is still open. */
  | { kind: "user_item"; text: string; latency: Latency }
  | { kind: "tokens"; prompt: number; completion: number }
  | {
      kind: "error";
      stage: ErrorSource;
      code: string;
      message: string;
      recoverable: boolean;
      /** The same failure as in the turn before. */
      repeated?: boolean;
    }
  | ({ kind: "notice" } & Notice);

/** Parts of a turn's latency as AgentSession measures them, in seconds. */
export interface Latency {
  transcriptionDelay?: number;
  endOfTurnDelay?: number;
  llmNodeTtft?: number;
  ttsNodeTtfb?: number;
  e2eLatency?: number;
}

/** A segment that is not final yet. */
interface OpenSegment {
  id: string;
  /** Ms since the epoch. */
  startedAt: number;
  text: string;
  /** The language that the recogniser has heard, as a BCP 47 tag, if it reported one. */
  language?: string | undefined;
}

/** The state of a conversation between two signals. */
export interface TranscriptState {
  /** `settled` is the text of the turn's finished utterances. */
  user: (OpenSegment & { settled: string }) | undefined;
  /** `unheard` is paced text from a pause of the voice. It counts if the voice continues. */
  agent: (OpenSegment & { unheard: string }) | undefined;
  /** Whether an answer is final while the rest of its paced text may still arrive. */
  agentTrailing: boolean;
  userSpeaking: boolean;
  agentState: AgentState;
  /** The text of the user's newest final. */
  lastUserText: string;
  /** The user's latency in the turn that the agent is answering. */
  userLatency: Latency;
  /** The user's latency in a turn that interrupted this answer. */
  nextLatency: Latency;
  /** The tokens of the answer, and of the one after it. */
  tokens: Tokens | undefined;
  nextTokens: Tokens | undefined;
}

interface Tokens {
  prompt: number;
  completion: number;
}

export const initialTranscriptState: TranscriptState = {
  user: undefined,
  agent: undefined,
  agentTrailing: false,
  userSpeaking: false,
  agentState: "initializing",
  lastUserText: "",
  userLatency: {},
  nextLatency: {},
  tokens: undefined,
  nextTokens: undefined,
};

/** What `normalize` needs besides its state and the signal. */
export interface SignalContext {
  /** Ms since the epoch. */
  now: number;
  /** The id of the segment that begins with this signal, if one does. */
  newId: string;
  userIdentity: string;
  agentIdentity: string;
}

export interface Normalized {
  state: TranscriptState;
  events: SessionEvent[];
}

/**
 * Turns one signal into the events that clients receive; a pure function. A turn of the user is one
 * segment, however many utterances the STT splits it into: its interims become one final when the
 * turn ends. The agent's segment grows with its voice, and its final has only what was spoken.
 */
export function normalize(
  state: TranscriptState,
  signal: AgentSignal,
  context: SignalContext,
): Normalized {
  switch (signal.kind) {
    case "user_speech":
      return userSpeech(state, signal.speaking, context);
    case "agent_state":
      return agentState(state, signal.state, context);
    case "user_text":
      return userText(state, signal, context);
    case "user_turn":
      return finishUser(state, signal.text, context);
    case "typed":
      return typed(state, signal.text, context);
    case "user_item":
      return userItem(withLatency(state, signal.latency), signal.text, context);
    case "agent_text":
      return agentText(state, signal.text, context);
    case "agent_turn":
      return agentTurn(state, signal, context);
    case "tokens":
      return { state: withTokens(state, signal), events: [] };
    case "error":
      return { state, events: [{ type: "error", data: errorData(signal) }] };
    case "notice":
      return { state, events: [{ type: "notice", data: noticeData(signal) }] };
  }
}

function errorData(signal: Extract<AgentSignal, { kind: "error" }>) {
  const { stage, code, message, recoverable, repeated } = signal;
  return { code, message, stage, recoverable, ...(repeated && { repeated }) };
}

function noticeData({ kind: _, ...data }: Extract<AgentSignal, { kind: "notice" }>): Notice {
  return data;
}

function userSpeech(state: TranscriptState, speaking: boolean, context: SignalContext): Normalized {
  if (speaking === state.userSpeaking) return { state, events: [] };
  return {
    state: { ...state, userSpeaking: speaking },
    events: [speech("user", context.userIdentity, speaking)],
  };
}

function agentState(
  state: TranscriptState,
  reported: "idle" | AgentState,
  context: SignalContext,
): Normalized {
  const next: AgentState = reported === "idle" ? "listening" : reported;
  if (next === state.agentState) return { state, events: [] };
  const events: SessionEvent[] = [{ type: "agent_state", data: { state: next } }];
  if (next === "speaking") events.push(speech("agent", context.agentIdentity, true));
  if (state.agentState === "speaking") events.push(speech("agent", context.agentIdentity, false));
  const agentTrailing = state.agentTrailing && next !== "speaking";
  const agent = next === "speaking" ? withUnheard(state.agent) : state.agent;
  if (agent && agent.text.trim() !== state.agent?.text.trim()) {
    events.push(transcript("agent", agent, context, false));
  }
  return { state: { ...state, agentState: next, agentTrailing, agent }, events };
}

/** The voice continues after a pause, so the text from the pause is heard after all. */
function withUnheard(agent: TranscriptState["agent"]): TranscriptState["agent"] {
  return agent && { ...agent, text: agent.text + agent.unheard, unheard: "" };
}

/** While an answer is being spoken, the latency of another turn belongs to the next answer. */
function withLatency(state: TranscriptState, latency: Latency): TranscriptState {
  return state.agent ? { ...state, nextLatency: latency } : { ...state, userLatency: latency };
}

/** The first counts during an answer are its own; later ones belong to the next answer. */
function withTokens(state: TranscriptState, { prompt, completion }: Tokens): TranscriptState {
  const tokens = { prompt, completion };
  return state.agent && state.tokens ? { ...state, nextTokens: tokens } : { ...state, tokens };
}

function speech(role: Role, identity: string, speaking: boolean): SessionEvent {
  return { type: "speech", data: { role, identity, state: speaking ? "started" : "stopped" } };
}

function userText(
  state: TranscriptState,
  { text, final, language }: Extract<AgentSignal, { kind: "user_text" }>,
  context: SignalContext,
): Normalized {
  if (text.trim() === "") return { state, events: [] };
  const open = state.user ?? { ...newSegment(context), settled: "" };
  const turnText = join(open.settled, text);
  if (turnText === open.text && !final) return { state, events: [] };
  const user = {
    ...open,
    text: turnText,
    settled: final ? turnText : open.settled,
    language: language ?? open.language,
  };
  const isNews = turnText !== open.text || user.language !== open.language;
  const events = isNews ? [transcript("user", user, context, false)] : [];
  return { state: { ...state, user }, events };
}

function finishUser(state: TranscriptState, text: string, context: SignalContext): Normalized {
  // An interim that clients have seen becomes final, even if the turn is reported without text.
  const segment = {
    ...(state.user ?? newSegment(context)),
    text: text.trim() || (state.user?.text ?? ""),
  };
  if (segment.text === "") return { state: { ...state, user: undefined }, events: [] };
  return {
    state: { ...state, user: undefined, lastUserText: segment.text },
    events: [transcript("user", segment, context, true)],
  };
}

function typed(state: TranscriptState, typedText: string, context: SignalContext): Normalized {
  const text = typedText.trim();
  if (text === "") return { state, events: [] };
  const segment = { ...newSegment(context), text };
  return {
    state: { ...state, lastUserText: text, userLatency: {} },
    events: [transcript("user", segment, context, true)],
  };
}

function userItem(state: TranscriptState, text: string, context: SignalContext): Normalized {
  const alreadyFinal = state.user === undefined || text.trim() === state.lastUserText;
  return alreadyFinal ? { state, events: [] } : finishUser(state, text, context);
}

function agentText(state: TranscriptState, more: string, context: SignalContext): Normalized {
  if (state.agentTrailing) return { state, events: [] };
  const open = state.agent ?? { ...newSegment(context), unheard: "" };
  if (state.agentState !== "speaking") {
    return { state: { ...state, agent: { ...open, unheard: open.unheard + more } }, events: [] };
  }
  const agent = { ...open, text: open.text + more };
  if (agent.text.trim() === open.text.trim()) return { state: { ...state, agent }, events: [] };
  return { state: { ...state, agent }, events: [transcript("agent", agent, context, false)] };
}

function agentTurn(
  state: TranscriptState,
  signal: Extract<AgentSignal, { kind: "agent_turn" }>,
  context: SignalContext,
): Normalized {
  const next = {
    ...state,
    agent: undefined,
    agentTrailing: true,
    userLatency: state.nextLatency,
    nextLatency: {},
    tokens: state.nextTokens,
    nextTokens: undefined,
  };
  const paced = state.agent?.text ?? "";
  const reported = signal.interrupted ? spokenPart(signal.text, paced) : signal.text;
  const text = reported.trim() || paced;
  if (text.trim() === "") return { state: next, events: [] };
  const segment = { ...(state.agent ?? newSegment(context)), text };
  const events: SessionEvent[] = [
    transcript("agent", segment, context, true, signal.interrupted),
    { type: "metrics", data: turnMetrics(segment.id, state, signal.latency) },
  ];
  return { state: next, events };
}

/**
 * What was spoken of an interrupted answer. A session that closes reports the whole answer, which
 * then begins with the paced text.
 */
function spokenPart(reported: string, paced: string): string {
  return reported.trim().startsWith(paced.trim()) ? paced : reported;
}

function turnMetrics(turnId: string, state: TranscriptState, latency: Latency): TurnMetrics {
  return {
    turn_id: turnId,
    endpointing_ms: ms(state.userLatency.endOfTurnDelay),
    stt_ms: ms(state.userLatency.transcriptionDelay),
    llm_ttft_ms: ms(latency.llmNodeTtft),
    tts_ttfb_ms: ms(latency.ttsNodeTtfb),
    voice_to_voice_ms: ms(latency.e2eLatency),
    prompt_tokens: state.tokens?.prompt ?? null,
    completion_tokens: state.tokens?.completion ?? null,
  };
}

function transcript(
  role: Role,
  segment: OpenSegment,
  context: SignalContext,
  final: boolean,
  interrupted = false,
): SessionEvent {
  return {
    type: "transcript",
    data: {
      segment_id: segment.id,
      role,
      identity: role === "user" ? context.userIdentity : context.agentIdentity,
      text: segment.text.trim(),
      final,
      ...(interrupted ? { interrupted } : {}),
      ...(segment.language ? { language: segment.language } : {}),
      started_at: segment.startedAt,
    },
  };
}

function newSegment(context: SignalContext): OpenSegment {
  return { id: context.newId, startedAt: context.now, text: "" };
}

function join(settled: string, text: string): string {
  return settled === "" ? text.trim() : `${settled} ${text.trim()}`;
}

function ms(seconds: number | undefined): number | null {
  return seconds === undefined ? null : Math.round(seconds * 1000);
}
