import { type metrics, voice } from "@livekit/agents";
import { detectedLanguage } from "../domain/language.ts";
import type { Stage } from "../domain/stage.ts";
import { isFromSecond } from "../providers/failover.ts";
import { describeProviderError } from "../providers/provider-errors.ts";
import { RealtimeModelError } from "../providers/realtime-model-errors.ts";
import { spokenText } from "./chat-messages.ts";
import { SILENCE_MS } from "./end-of-turn.ts";
import { MessageTimes } from "./message-times.ts";
import type { AgentSignal, Latency } from "./normalize-events.ts";
import type { Pipeline, PipelineOptions } from "./pipeline.ts";
import { type SpeechOptions, speak } from "./speech.ts";

/**
 * Speech of the user that interrupts the agent (barge-in), in ms: four windows of the VAD. A click
 * is shorter. After a cough the agent continues, so a false barge-in costs less than a late one.
 */
const BARGE_IN_MS = 120;
/** Silence after a false barge-in, in ms, until the agent continues where it stopped. */
const FALSE_INTERRUPTION_MS = 1500;
/** So many messages tell in which language an answer is that has no words, such as a table. */
const CONTEXT_MESSAGES = 4;
/** No retries here: the providers' clients retry where it helps and have their own timeouts. */
const CONNECTION = { maxRetry: 0, retryIntervalMs: 0, timeoutMs: 20_000 };

/**
 * Wait for sound, in ms, after which the session itself closes the voice, which it does without a
 * word. The requests of each stage have deadlines of their own and report when they pass. This one must not
 * end a sentence that a slow model writes word by word.
 */
const VOICE_IDLE_MS = 600_000;

/**
 * Creates the framework's session for a pipeline, with Parley's rules for turns and barge-in.
 *
 * @param prepares whether an answer is begun at the first pause, before the turn is surely over
 */
export function createSession(pipeline: Pipeline, prepares: boolean): voice.AgentSession {
  return new voice.AgentSession({
    vad: pipeline.vad,
    stt: pipeline.stt,
    llm: pipeline.llm,
    tts: pipeline.tts,
    connOptions: {
      sttConnOptions: CONNECTION,
      llmConnOptions: CONNECTION,
      ttsConnOptions: CONNECTION,
      // This limit counts requests. `FailedTurns` counts turns instead.
      maxUnrecoverableErrors: Number.POSITIVE_INFINITY,
    },
    // The session manager ends idle sessions, and browsers cancel their own echo.
    userAwayTimeout: null,
    aecWarmupDuration: null,
    ttsReadIdleTimeout: VOICE_IDLE_MS,
    forwardAudioIdleTimeout: VOICE_IDLE_MS,
    turnHandling: {
      // The STT holds a final back until the turn is over, so the session must not wait again.
      turnDetection: "vad",
      endpointing: { mode: "fixed", minDelay: SILENCE_MS.complete, maxDelay: SILENCE_MS.complete },
      interruption: {
        mode: "vad",
        minDuration: BARGE_IN_MS,
        falseInterruptionTimeout: FALSE_INTERRUPTION_MS,
      },
      // An answer that is prepared in vain costs money, so a turn has one, and its final request.
      preemptiveGeneration: { enabled: prepares, preemptiveTts: true, maxRetries: 1 },
    },
    // `speak` turns markup into words. The framework's own filters would only hide what it is.
    ttsTextTransforms: null,
  });
}

/**
 * An agent that reports when the user's turn is over, before the answer to it begins, and that
 * speaks its answers sentence by sentence.
 */
export class TurnReportingAgent extends voice.Agent {
  readonly #emit: (signal: AgentSignal) => void;
  readonly #speech: Pick<SpeechOptions, "tts" | "language">;
  readonly #times = new MessageTimes();
  /** The answer that was begun last, prepared ones included. */
  #newest: voice.SpeechHandle | undefined;

  constructor(
    instructions: string,
    speech: Pick<SpeechOptions, "tts" | "language">,
    emit: (signal: AgentSignal) => void,
  ) {
    super({ id: "parley", instructions });
    this.#speech = speech;
    this.#emit = emit;
  }

  override llmNode(
    ...[history, ...rest]: Parameters<voice.Agent["llmNode"]>
  ): ReturnType<voice.Agent["llmNode"]> {
    this.#times.settle(history.items);
    return super.llmNode(history, ...rest);
  }

  override ttsNode(
    text: Parameters<voice.Agent["ttsNode"]>[0],
  ): ReturnType<voice.Agent["ttsNode"]> {
    const answer = this.#newest;
    const isWanted = () => answer?.interrupted !== true;
    const options = { ...this.#speech, context: this.#saidBefore(), isWanted };
    return Promise.resolve(speak(text, { ...options, connOptions: CONNECTION }));
  }

  #saidBefore(): string {
    const said = this.chatCtx.items.filter(
      (item) => item.type === "message" && (item.role === "user" || item.role === "assistant"),
    );
    return said
      .slice(-CONTEXT_MESSAGES)
      .map((item) => ("textContent" in item && item.textContent) || "")
      .join("\n");
  }

  override async onEnter(): Promise<void> {
    this.session.on(voice.AgentSessionEventTypes.SpeechCreated, ({ speechHandle }) => {
      this.#newest = speechHandle;
    });
    this.session.on(voice.AgentSessionEventTypes.ConversationItemAdded, ({ item }) => {
      this.#times.settle([item]);
    });
  }

  override async onUserTurnCompleted(
    _context: Parameters<voice.Agent["onUserTurnCompleted"]>[0],
    message: Parameters<voice.Agent["onUserTurnCompleted"]>[1],
  ): Promise<void> {
    this.#emit({ kind: "user_turn", text: message.textContent ?? "" });
  }
}

type Emit = (signal: AgentSignal) => void;

/** The payload of a session's `error` event, from any stage. */
interface StageError {
  type?: string;
  error?: unknown;
  recoverable?: boolean;
}

const STAGES: Record<string, Stage> = {
  stt_error: "stt",
  llm_error: "llm",
  tts_error: "tts",
  // A realtime model serves all stages; what fails there is the answer.
  realtime_model_error: "llm",
};

/**
 * Reports a session's events as signals.
 *
 * @param providers who serves the stages, for messages about failures; undefined for a realtime
 *   model, which describes its own
 * @returns a function that stops it
 */
export function reportSignals(
  session: voice.AgentSession,
  providers: Pick<PipelineOptions, Stage> | undefined,
  emit: Emit,
): () => void {
  const events = voice.AgentSessionEventTypes;
  const worked = new Set<Stage>();
  const onUserState = (event: voice.UserStateChangedEvent) => {
    emit({ kind: "user_speech", speaking: event.newState === "speaking" });
  };
  const onAgentState = (event: voice.AgentStateChangedEvent) => {
    emit({ kind: "agent_state", state: event.newState });
  };
  const onText = (event: voice.UserInputTranscribedEvent) => {
    worked.add("stt");
    const language = detectedLanguage(event.language);
    emit({ kind: "user_text", text: event.transcript, final: event.isFinal, language });
  };
  const onItem = (event: voice.ConversationItemAddedEvent) => reportItem(event, emit);
  const onMetrics = (event: voice.MetricsCollectedEvent) => {
    if (event.metrics.type === "llm_metrics" && event.metrics.ttftMs > 0) worked.add("llm");
    if (event.metrics.type === "tts_metrics" && event.metrics.ttfbMs > 0) worked.add("tts");
    reportTokens(event.metrics, emit);
  };
  const onError = (event: voice.ErrorEvent) => reportError(event.error, providers, worked, emit);
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
  const text = spokenText(item);
  const latency: Latency = { ...item.metrics };
  if (item.role === "user") emit({ kind: "user_item", text, latency });
  if (item.role === "assistant") {
    emit({ kind: "agent_turn", text, interrupted: item.interrupted, latency });
  }
}

function reportTokens(measured: metrics.AgentMetrics, emit: Emit): void {
  if (measured.type === "realtime_model_metrics") {
    const { inputTokens: prompt, outputTokens: completion, totalTokens, cancelled } = measured;
    // Without usage of the server, the plugin counts 0.
    if (!cancelled && totalTokens > 0) emit({ kind: "tokens", prompt, completion });
    return;
  }
  if (measured.type !== "llm_metrics" || measured.cancelled) return;
  emit({ kind: "tokens", prompt: measured.promptTokens, completion: measured.completionTokens });
}

function reportError(
  reported: StageError,
  providers: Pick<PipelineOptions, Stage> | undefined,
  worked: ReadonlySet<Stage>,
  emit: Emit,
): void {
  const stage = STAGES[reported.type ?? ""];
  if (!stage) return;
  const { error, type } = reported;
  const provider = providers?.[stage];
  const failed = isFromSecond(error) ? provider?.fallback?.source : provider?.source;
  const described = failed && { ...failed, hasWorked: worked.has(stage) };
  const problem =
    error instanceof RealtimeModelError
      ? error.problem
      : describeProviderError(stage, error, described);
  // A failed answer costs one turn. Only what stays connected reports that it cannot continue.
  const staysConnected = type === "stt_error" || type === "realtime_model_error";
  const recoverable = !staysConnected || reported.recoverable !== false;
  emit({ kind: "error", stage, ...problem, recoverable });
}

/** The part of the session's transcription output that this module relies on. */
interface PacedOutput {
  nextInChain?: { _sinks?: TextSink[] };
}
type TextSink = NonNullable<voice.AgentSession["output"]["transcription"]>;

/**
 * Reports the agent's words as its voice reaches them. The session sends them through a list of
 * sinks to LiveKit's text streams. This adds a sink to that list, after the pacing.
 *
 * @throws Error if another version of the agents library keeps its sinks elsewhere
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
