import { setTimeout as delay } from "node:timers/promises";
import { APIConnectionError, type llm } from "@livekit/agents";
import * as openai from "@livekit/agents-plugin-openai";
import type { SpeechToSpeechProvider } from "../domain/stage.ts";
import { fieldOf } from "../lib/json.ts";
import { AnswerError } from "../providers/provider-errors.ts";
import {
  openRealtimeModel,
  RealtimeModelConnection,
  type ServerEvent,
} from "../providers/realtime-model-connection.ts";
import { errorCodeOf, realtimeModelError } from "../providers/realtime-model-errors.ts";
import { MAX_FAILURES } from "./failed-turns.ts";

/** What a session reports beside the framework's events. */
export interface RealtimeModelEvents {
  /** The server heard the end of the user's speech. */
  onSpeechEnd(): void;
  /** The user's turn is in the conversation; its transcript follows. */
  onUserTurn(itemId: string): void;
  /** The transcript of a turn is complete, or `failed`. */
  onTranscript(itemId: string, failed: boolean): void;
  /** The model was asked for an answer. */
  onAnswering(): void;
}

/** How long the server may take to connect, to begin an answer, and between two parts of it, ms. */
export const ANSWER_MS = 10_000;
/** Wait before a connection is tried again, in ms; it doubles with each failure in a row. */
const BACKOFF_MS = 300;
/** A connection that lasted this long, in ms, or gave an answer was a good one. */
const GOOD_CONNECTION_MS = 10_000;

/** The parts of the plugin's session that are used here; its types hide some of them. */
interface PluginSession {
  readonly chatCtx: llm.ChatContext;
  updateChatCtx(context: llm.ChatContext): Promise<void>;
  createWsConn(): Promise<RealtimeModelConnection>;
  emitError(problem: { error: Error; recoverable: boolean }): void;
  sendEvent(event: { type: string }): void;
  generateReply(
    instructions?: string,
    options?: { signal?: AbortSignal },
  ): Promise<llm.GenerationCreatedEvent>;
  interrupt(): Promise<void>;
  close(): Promise<void>;
}
type PluginSessionClass = new (model: openai.realtime.RealtimeModel) => PluginSession;
const PluginSession = openai.realtime.RealtimeSession as unknown as PluginSessionClass;

/**
 * A conversation with a realtime model. The plugin's own session ends silently when a connection
 * cannot be opened, waits for ever for a server that hangs, and reconnects without a pause. This
 * one reconnects a few times, reports what was lost in plain words, and sees that every answer
 * comes, with something in it.
 */
export class RealtimeModelSession extends PluginSession {
  readonly #provider: SpeechToSpeechProvider;
  readonly #events: RealtimeModelEvents;
  readonly #answerMs: number;
  readonly #closing = new AbortController();
  #connection: RealtimeModelConnection | undefined;
  #connectedAt = 0;
  /** Failed connections in a row. */
  #failures = 0;
  /** Runs while an answer is awaited. */
  #answerTimer: ReturnType<typeof setTimeout> | undefined;
  #timedOut = false;

  constructor(
    model: openai.realtime.RealtimeModel,
    provider: SpeechToSpeechProvider,
    events: RealtimeModelEvents,
    answerMs: number,
  ) {
    super(model);
    this.#answerMs = answerMs;
    this.#provider = provider;
    this.#events = events;
  }

  /** Opens a connection; after several failures in a row it gives up for good. */
  override async createWsConn(): Promise<RealtimeModelConnection> {
    // The plugin connects in its constructor, before this class's fields exist.
    await Promise.resolve();
    if (this.#connection) await this.#connectionLost();
    while (!this.#closing.signal.aborted) {
      try {
        const socket = await openRealtimeModel(this.#provider, this.#answerMs);
        this.#connection = new RealtimeModelConnection(socket, (event) => this.#received(event));
        this.#connectedAt = Date.now();
        if (this.#closing.signal.aborted) this.#connection.close();
        return this.#connection;
      } catch (error) {
        await this.#failed(error);
      }
    }
    // The plugin ends its task without a report of its own.
    return new Promise(() => {});
  }

  /** Says what was lost with the connection, and waits if connections keep breaking. */
  async #connectionLost(): Promise<void> {
    const lasted = Date.now() - this.#connectedAt;
    const cause = this.#timedOut ? new Error("timed out") : new Error("the connection broke");
    const answering = this.#answerTimer !== undefined || this.#timedOut;
    this.#stopWaiting();
    this.#timedOut = false;
    // The plugin's sender still waits for an event, and would drop the next one.
    this.sendEvent({ type: "input_audio_buffer.clear" });
    if (lasted > GOOD_CONNECTION_MS) this.#failures = 0;
    if (answering) this.emitError({ error: cause, recoverable: true });
    if (lasted <= GOOD_CONNECTION_MS) await this.#failed(cause);
  }

  async #failed(error: unknown): Promise<void> {
    this.#failures += 1;
    if (this.#closing.signal.aborted) return;
    const problem = realtimeModelError(this.#provider, error);
    if (this.#failures > MAX_FAILURES) {
      super.emitError({ error: problem, recoverable: false });
      this.#closing.abort();
      return;
    }
    const backoffMs = BACKOFF_MS * 2 ** (this.#failures - 1);
    await delay(backoffMs, undefined, { signal: this.#closing.signal }).catch(() => {});
  }

  override emitError({ error, recoverable }: { error: Error; recoverable: boolean }): void {
    // A broken connection is followed by `#connectionLost`, which knows whether anything was lost.
    if (error instanceof APIConnectionError && recoverable) return;
    // So is the regular end of a session, which the server announces by an error.
    if (errorCodeOf(fieldOf(error, "body")) === "session_expired") return;
    this.#stopWaiting();
    super.emitError({ error: realtimeModelError(this.#provider, error), recoverable });
  }

  override async generateReply(
    instructions?: string,
    options?: { signal?: AbortSignal },
  ): Promise<llm.GenerationCreatedEvent> {
    this.#events.onAnswering();
    this.#awaitAnswer();
    return super.generateReply(instructions, options);
  }

  /** Adds to the conversation. What a broken connection took with it is sent once more. */
  override async updateChatCtx(context: llm.ChatContext): Promise<void> {
    const known = new Set(this.chatCtx.items.map(({ id }) => id));
    await super.updateChatCtx(context);
    const present = this.chatCtx.copy();
    const lost = context.items.filter(({ id }) => !known.has(id) && !present.getById(id));
    if (lost.length === 0) return;
    present.items.push(...lost);
    await super.updateChatCtx(present);
  }

  override async interrupt(): Promise<void> {
    this.#stopWaiting();
    await super.interrupt();
  }

  override async close(): Promise<void> {
    this.#closing.abort();
    this.#stopWaiting();
    const closed = super.close();
    this.#connection?.close();
    await closed;
  }

  #received(event: ServerEvent): void {
    const itemId = String(event["item_id"]);
    switch (event.type) {
      case "input_audio_buffer.speech_stopped":
        this.#events.onSpeechEnd();
        break;
      case "input_audio_buffer.committed":
        this.#events.onUserTurn(itemId);
        this.#events.onAnswering();
        this.#awaitAnswer();
        break;
      case "conversation.item.input_audio_transcription.completed":
        // A server need not answer sounds that are no words.
        if (String(event["transcript"] ?? "").trim() === "") this.#stopWaiting();
        this.#afterPlugin(() => this.#events.onTranscript(itemId, false));
        break;
      case "conversation.item.input_audio_transcription.failed":
        this.#afterPlugin(() => this.#events.onTranscript(itemId, true));
        break;
      case "response.done":
        this.#stopWaiting();
        this.#failures = 0;
        this.#judgeAnswer(event["response"]);
        break;
      default:
        if (event.type.startsWith("response.")) this.#awaitAnswer();
    }
  }

  /** Runs once the plugin has handled the event at hand. */
  #afterPlugin(work: () => void): void {
    queueMicrotask(work);
  }

  /** Reports an answer that holds nothing; `failed` ones are reported by the plugin. */
  #judgeAnswer(response: unknown): void {
    const status = fieldOf(response, "status");
    const reason = fieldOf(fieldOf(response, "status_details"), "reason");
    if (status === "incomplete") {
      const fault = reason === "content_filter" ? "declined" : "cut";
      this.emitError({ error: new AnswerError(fault), recoverable: true });
      return;
    }
    const output = fieldOf(response, "output");
    if (status === "completed" && Array.isArray(output) && output.length === 0) {
      this.emitError({ error: new AnswerError("empty"), recoverable: true });
    }
  }

  #awaitAnswer(): void {
    clearTimeout(this.#answerTimer);
    this.#answerTimer = setTimeout(() => {
      this.#timedOut = true;
      // A new connection gets the conversation so far, and may do better.
      this.#connection?.close();
    }, this.#answerMs);
  }

  #stopWaiting(): void {
    clearTimeout(this.#answerTimer);
    this.#answerTimer = undefined;
  }
}
