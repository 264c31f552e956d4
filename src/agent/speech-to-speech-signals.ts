import type { AgentSignal } from "./normalize-events.ts";
import type { RealtimeModelEvents } from "./realtime-model-session.ts";

/** How long the agent's lines wait for the transcript of what they answer, in ms. */
const TRANSCRIPT_MS = 3000;

/** The transcript of one turn of the user, which is still awaited unless `here`. */
interface Awaited {
  itemId: string;
  here: boolean;
  timer: ReturnType<typeof setTimeout>;
}

/**
 * Brings the signals of speech to speech into the order that the cascade has by itself. A realtime
 * model answers before it has written down what it heard, so what the agent does is held back
 * until the transcript of the user's turn is there. It also measures the wait for the answer, and
 * reports that the agent thinks, both of which the framework leaves out here.
 */
export class SpeechToSpeechSignals implements RealtimeModelEvents {
  readonly #emit: (signal: AgentSignal) => void;
  readonly #silenceMs: number;
  readonly #queue: (AgentSignal | Awaited)[] = [];
  #thinking = false;
  /** When the user's last words ended, ms since the epoch, until the agent's voice begins. */
  #speechEndedAt: number | undefined;
  #voiceToVoice: number | undefined;
  #toldOfTranscript = false;

  /** @param silenceMs the silence after which the server hears the end of speech */
  constructor(emit: (signal: AgentSignal) => void, silenceMs: number) {
    this.#emit = emit;
    this.#silenceMs = silenceMs;
  }

  /** Takes a signal of the framework's session. */
  take(signal: AgentSignal): void {
    switch (signal.kind) {
      case "user_text":
        // A server need not answer a sound that is no words.
        if (signal.final && signal.text.trim() === "") this.#stopThinking();
        // There is one transcript for each turn.
        this.#emit(signal.final ? { kind: "user_turn", text: signal.text } : signal);
        return;
      case "user_speech":
        if (signal.speaking) this.#userSpeaks();
        this.#emit(signal);
        return;
      case "agent_state":
        this.#thinking = signal.state === "thinking";
        if (signal.state === "speaking") this.#voiceBegins();
        this.#put(signal);
        return;
      case "agent_turn":
        this.#put({ ...signal, latency: this.#latency() });
        return;
      case "agent_text":
      case "tokens":
        this.#put(signal);
        return;
      case "error":
        this.#stopThinking();
        this.#emit(signal);
        return;
      default:
        this.#emit(signal);
    }
  }

  /** Emits what is held back, whether or not the transcripts before it are there. */
  flush(): void {
    this.#transcriptsArrived(() => true);
  }

  onSpeechEnd(): void {
    this.#speechEndedAt = Date.now() - this.#silenceMs;
  }

  onUserTurn(itemId: string): void {
    const here = () => this.#transcriptsArrived((one) => one.itemId === itemId);
    this.#queue.push({ itemId, here: false, timer: setTimeout(here, TRANSCRIPT_MS) });
  }

  onTranscript(itemId: string, failed: boolean): void {
    this.#transcriptsArrived((one) => one.itemId === itemId);
    if (!failed || this.#toldOfTranscript) return;
    this.#toldOfTranscript = true;
    this.#emit({
      kind: "notice",
      code: "transcript_missing",
      message: "What you said was heard, but could not be written down.",
      stage: "stt",
      transient: false,
    });
  }

  onAnswering(): void {
    if (this.#thinking) return;
    this.#thinking = true;
    this.#emit({ kind: "agent_state", state: "thinking" });
  }

  #userSpeaks(): void {
    this.#speechEndedAt = undefined;
    this.#stopThinking();
  }

  #stopThinking(): void {
    if (!this.#thinking) return;
    this.#thinking = false;
    this.#put({ kind: "agent_state", state: "listening" });
  }

  #voiceBegins(): void {
    if (this.#speechEndedAt === undefined) return;
    this.#voiceToVoice = (Date.now() - this.#speechEndedAt) / 1000;
    this.#speechEndedAt = undefined;
  }

  #latency(): { e2eLatency?: number } {
    const seconds = this.#voiceToVoice;
    this.#voiceToVoice = undefined;
    return seconds === undefined ? {} : { e2eLatency: seconds };
  }

  #put(signal: AgentSignal): void {
    this.#queue.push(signal);
    this.#drain();
  }

  #transcriptsArrived(which: (one: Awaited) => boolean): void {
    for (const one of this.#queue) {
      if ("kind" in one || !which(one)) continue;
      one.here = true;
      clearTimeout(one.timer);
    }
    this.#drain();
  }

  /** Emits what no longer waits for a transcript. */
  #drain(): void {
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      if (!("kind" in next) && !next.here) return;
      this.#queue.shift();
      if ("kind" in next) this.#emit(next);
    }
  }
}
