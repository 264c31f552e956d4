import { stt } from "@livekit/agents";
import { MAX_TURN_MS, silenceBeforeTurnEnds, VAD_SILENCE_MS } from "./end-of-turn.ts";
import type { EventLanguage } from "./stt-wrapper.ts";

export interface HeldTurnOptions {
  /** The code of the language that is spoken; null where the server detects it. */
  language: string | null;
  emit(event: stt.SpeechEvent): void;
}

/**
 * The transcripts of a turn that may still continue. They are held back until the silence after
 * them has lasted; meanwhile the text so far is shown, so that the answer can be prepared.
 */
export class HeldTurn {
  readonly #options: HeldTurnOptions;
  #text = "";
  /** What the server heard, as a BCP 47 tag. */
  #language: string | undefined;
  #audioMs = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** When speech last ended, in ms of `performance.now()`. */
  #lastSpeechAt = 0;

  constructor(options: HeldTurnOptions) {
    this.#options = options;
  }

  speechStarted(): void {
    clearTimeout(this.#timer);
  }

  speechEnded(): void {
    this.#lastSpeechAt = performance.now() - VAD_SILENCE_MS;
  }

  /** Shows words that may still change after those that are held. */
  showInterim(words: string): void {
    this.#put(stt.SpeechEventType.INTERIM_TRANSCRIPT, this.#with(words));
  }

  /**
   * Adds the words of an utterance.
   * @param isSpeaking whether the person has gone on
   */
  add(words: string, language: string | undefined, audioMs: number, isSpeaking: boolean): void {
    this.#text = this.#with(words);
    this.#language = language ?? this.#language;
    this.#audioMs += audioMs;
    if (this.#audioMs >= MAX_TURN_MS) {
      this.release();
      return;
    }
    const { PREFLIGHT_TRANSCRIPT, INTERIM_TRANSCRIPT } = stt.SpeechEventType;
    this.#put(isSpeaking ? INTERIM_TRANSCRIPT : PREFLIGHT_TRANSCRIPT, this.#text);
  }

  /** Everything that was said is transcribed, and nobody speaks: the turn ends if that lasts. */
  awaitEnd(): void {
    if (this.#text === "") return;
    const language = this.#options.language ?? this.#language?.split("-", 1)[0];
    const endsAt = this.#lastSpeechAt + silenceBeforeTurnEnds(this.#text, language);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.release(), Math.max(0, endsAt - performance.now()));
  }

  /** Emits what is held as final. */
  release(): void {
    clearTimeout(this.#timer);
    const text = this.#text;
    this.#text = "";
    this.#audioMs = 0;
    if (text !== "") this.#put(stt.SpeechEventType.FINAL_TRANSCRIPT, text);
  }

  #with(words: string): string {
    return [this.#text, words].filter(Boolean).join(" ");
  }

  #put(type: stt.SpeechEventType, text: string): void {
    const language = (this.#options.language ?? this.#language ?? "") as EventLanguage;
    const alternative = { text, language, startTime: 0, endTime: 0, confidence: 1 };
    this.#options.emit({ type, alternatives: [alternative] });
  }
}
