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
import { isGood, Outage } from "./outage.ts";

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

/** How long a session waits for its server, in ms. */
export interface RealtimeModelPatience {
  /** Until it connects, until it begins an answer, and between two parts of it. */
  answerMs: number;
  /** While it is away, before the session ends. */
  outageMs: number;
}

export const PATIENCE: RealtimeModelPatience = { answerMs: 10_000, outageMs: 30_000 };

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
 * one reconnects for a while, reports what was lost in plain words, and sees that every answer
 * comes, with something in it.
 */
export class RealtimeModelSession extends PluginSession {
  readonly #provider: SpeechToSpeechProvider;
  readonly #events: RealtimeModelEvents;
  readonly #patience: RealtimeModelPatience;
  readonly #closing = new AbortController();
  #connection: RealtimeModelConnection | undefined;
  /** When the newest connection was opened, in ms of `performance.now()`. */
  #connectedAt: number | undefined;
  readonly #outage = new Outage();
  /** Runs while an answer is awaited. */
  #answerTimer: ReturnType<typeof setTimeout> | undefined;
  #timedOut = false;

  constructor(
    model: openai.realtime.RealtimeModel,
    provider: SpeechToSpeechProvider,
    events: RealtimeModelEvents,
    patience: RealtimeModelPatience,
  ) {
    super(model);
    this.#patience = patience;
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
        const socket = await openRealtimeModel(this.#provider, this.#patience.answerMs);
        this.#connection = new RealtimeModelConnection(socket, (event) => this.#received(event));
        this.#connectedAt = performance.now();
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
    const openMs = performance.now() - (this.#connectedAt ?? 0);
    const cause = this.#timedOut ? new Error("timed out") : new Error("the connection broke");
    const answering = this.#answerTimer !== undefined || this.#timedOut;
    this.#stopWaiting();
    this.#timedOut = false;
    // The plugin's sender still waits for an event, and would drop the next one.
    this.sendEvent({ type: "input_audio_buffer.clear" });
    if (answering) this.emitError({ error: cause, recoverable: true });
    if (isGood(openMs)) this.#outage.over();
    else await this.#failed(cause, openMs);
  }

  /** Waits before the next attempt, or ends the session if the server has been away for too long. */
  async #failed(error: unknown, openMs?: number): Promise<void> {
    const waitMs = this.#outage.failed(openMs, isRefused(error));
    if (this.#closing.signal.aborted) return;
    if (this.#isAwayForGood()) {
      const problem = realtimeModelError(this.#provider, error);
      super.emitError({ error: problem, recoverable: false });
      this.#closing.abort();
      return;
    }
    await delay(waitMs, undefined, { signal: this.#closing.signal }).catch(() => {});
  }

  /** A server that refuses, or that was never there, need not be waited for as long. */
  #isAwayForGood(): boolean {
    const { failures, refusals, lastsMs } = this.#outage;
    const few = this.#connectedAt === undefined ? failures : refusals;
    return few > MAX_FAILURES || lastsMs > this.#patience.outageMs;
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
        this.#outage.over();
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
    }, this.#patience.answerMs);
  }

  #stopWaiting(): void {
    clearTimeout(this.#answerTimer);
    this.#answerTimer = undefined;
  }
}

/** Whether a server refused the connection for a reason that will not pass in a moment. */
function isRefused(error: unknown): boolean {
  return [401, 403, 404].includes(Number(fieldOf(error, "status")));
}
