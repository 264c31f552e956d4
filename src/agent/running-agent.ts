import { voice } from "@livekit/agents";
import { DisconnectReason, Room, RoomEvent } from "@livekit/rtc-node";
import type { Logger } from "pino";
import type { EndReason } from "../domain/session.ts";
import type { Notice } from "../domain/transcript.ts";
import { messageOf } from "../errors.ts";
import { untilAborted, withDeadline } from "../lib/deadline.ts";
import {
  createSession,
  reportSignals,
  reportSpokenText,
  TurnReportingAgent,
} from "./agent-session.ts";
import { CannotJoin } from "./cannot-join.ts";
import { FailedTurns } from "./failed-turns.ts";
import { FailureSound } from "./failure-sound.ts";
import type { AgentSignal } from "./normalize-events.ts";
import { type Person, PersonInRoom } from "./person-in-room.ts";
import {
  createPipeline,
  type Pipeline,
  type PipelineOptions,
  type SharedParts,
} from "./pipeline.ts";
import { startInRoom } from "./room-link.ts";
import {
  createSpeechToSpeech,
  greetingInstructions,
  SERVER_SILENCE_MS,
  type SpeechToSpeechOptions,
} from "./speech-to-speech.ts";
import { SpeechToSpeechSignals } from "./speech-to-speech-signals.ts";
import { receiveTypedWords } from "./typed-words.ts";
import { releaseRoom, stopAwaitingSubscribers } from "./webrtc.ts";

interface Options {
  url: string;
  token: string;
  /** The participant the agent listens to; undefined: the first person in the room. */
  userIdentity: string | undefined;
  instructions: string;
  greeting: string | null;
  logger: Logger;
  onSignal(signal: AgentSignal): void;
  /** The user joined, or left (undefined). */
  onUser(user: Person | undefined): void;
  /** The agent cannot continue. Called once at most, and not after `close`. */
  onEnd(reason: EndReason): void;
}

/** What serves the agent: the three stages, or one realtime model. */
export type AgentModels =
  | { pipeline: Omit<PipelineOptions, "onNotice">; speechToSpeech?: undefined }
  | { speechToSpeech: SpeechToSpeechOptions; pipeline?: undefined };

export type RunningAgentOptions = Options & AgentModels;

const JOIN_TIMEOUT_MS = 10_000;
/** Longer than a realtime model has to connect. */
const LISTEN_TIMEOUT_MS = 15_000;
/** How long what was heard of an interrupted answer is waited for. */
const INTERRUPT_TIMEOUT_MS = 2000;
const CLOSE_SESSION_TIMEOUT_MS = 4000;
const CLOSE_PROVIDERS_TIMEOUT_MS = 2000;
const LEAVE_ROOM_TIMEOUT_MS = 2000;
/** A person whose client does not take the agent's audio is answered in writing after this time. */
const SUBSCRIBE_TIMEOUT_MS = 10_000;
/** After this long without LiveKit the conversation ends, in ms. rtc-node itself may try for ever. */
const RECONNECT_TIMEOUT_MS = 20_000;

/** One agent in one room: a connected `Room` and the `AgentSession` that speaks in it. */
export class RunningAgent {
  readonly #options: RunningAgentOptions;
  readonly #room = new Room();
  readonly #person: PersonInRoom;
  readonly #pipeline: Pick<Pipeline, "sampleRate" | "close">;
  readonly #agent: voice.Agent;
  readonly #session: voice.AgentSession;
  readonly #failedTurns = new FailedTurns();
  readonly #failureSound: FailureSound;
  /** Whether a failure was reported of which no sound has been played yet. */
  #failureUnheard = false;
  /** Orders the signals of a realtime model. */
  readonly #ordered: SpeechToSpeechSignals | undefined;
  #stopReporting = () => {};
  /** Runs while the connection to LiveKit is down. */
  #reconnectTimer: ReturnType<typeof setTimeout> | undefined;
  #closing: Promise<void> | undefined;
  /** Settles when the typed messages so far are being answered. */
  #typing: Promise<void> = Promise.resolve();
  /** Runs from the first time that the person is there. */
  #subscribeTimer: ReturnType<typeof setTimeout> | undefined;
  #listening = false;
  #greeted = false;
  /** Whether it is known that this agent cannot go on. */
  #isEndKnown = false;

  private constructor(options: RunningAgentOptions, shared: SharedParts) {
    this.#options = options;
    this.#person = new PersonInRoom(this.#room, options.userIdentity, (person) =>
      this.#personChanged(person),
    );
    const onNotice = (notice: Notice) => this.#report({ kind: "notice", ...notice });
    if (options.speechToSpeech) {
      this.#ordered = new SpeechToSpeechSignals(this.#publish, SERVER_SILENCE_MS);
      const model = createSpeechToSpeech(options.speechToSpeech, this.#ordered);
      this.#pipeline = model;
      this.#session = model.session;
      this.#agent = new voice.Agent({ id: "parley", instructions: options.instructions });
    } else {
      const pipeline = createPipeline({ ...options.pipeline, onNotice }, shared);
      this.#pipeline = pipeline;
      this.#agent = new TurnReportingAgent(
        options.instructions,
        { tts: pipeline.tts, language: options.pipeline.language },
        this.#report,
      );
      this.#session = createSession(pipeline, options.pipeline.llm.prepares ?? true);
    }
    this.#failureSound = new FailureSound(this.#session);
  }

  /**
   * Joins the room and starts to listen.
   *
   * @param signal aborts the start, which then fails
   * @throws the cause of a failed start, after everything that was opened is closed again
   */
  static async start(
    options: RunningAgentOptions,
    shared: SharedParts,
    signal: AbortSignal,
  ): Promise<RunningAgent> {
    const agent = new RunningAgent(options, shared);
    try {
      await agent.#join(signal);
      await agent.#listen(signal);
      return agent;
    } catch (error) {
      await agent.close();
      throw error;
    }
  }

  async #join(signal: AbortSignal): Promise<void> {
    const { url, token } = this.#options;
    this.#room.on(RoomEvent.Disconnected, (reason) => this.#disconnected(reason));
    this.#room.on(RoomEvent.Reconnecting, () => this.#reconnecting());
    this.#room.on(RoomEvent.Reconnected, () => this.#stopReconnectTimer());
    const connected = this.#room.connect(url, token);
    try {
      await untilAborted(signal, withDeadline(connected, JOIN_TIMEOUT_MS, "joining the room"));
    } catch (error) {
      this.#isEndKnown = true;
      // `connect` cannot be cancelled, so a connection that succeeds too late is closed at once. If
      // that happens soon, the start fails only after the agent has left the room.
      const left = connected.then(
        () => releaseRoom(this.#room),
        () => {},
      );
      await withDeadline(left, LEAVE_ROOM_TIMEOUT_MS, "leaving the room").catch(() => {});
      throw signal.aborted ? error : new CannotJoin(error);
    }
    this.#person.find();
  }

  async #listen(signal: AbortSignal): Promise<void> {
    this.#stopReporting = reportSignals(this.#session, this.#options.pipeline, this.#report);
    this.#session.once(voice.AgentSessionEventTypes.Close, (event) => {
      if (event.reason === voice.CloseReason.ERROR) this.#reportEnd("provider_failed");
    });
    const started = startInRoom(this.#session, this.#agent, this.#room, {
      person: this.#person.identity,
      sampleRate: this.#pipeline.sampleRate,
    });
    try {
      await untilAborted(signal, withDeadline(started, LISTEN_TIMEOUT_MS, "starting to listen"));
    } catch (error) {
      // A start cannot be cancelled, so a session that starts too late is closed then.
      void started.then(
        () => this.#session.close(),
        () => {},
      );
      throw error;
    }
    receiveTypedWords(this.#room, {
      isPerson: (identity) => this.#person.isPresent && identity === this.#person.identity,
      onWords: (text) => this.say(text),
      onNotice: (notice) => this.#report({ kind: "notice", ...notice }),
      logger: this.#options.logger,
    });
    reportSpokenText(this.#session, this.#report);
    this.#listening = true;
    this.#updateVoice();
  }

  /**
   * Enables audio while the user is in the room, since the agent's audio waits for a subscriber.
   * Without the user, typed messages are answered in text. The first user is greeted.
   */
  #updateVoice(): void {
    if (!this.#listening) return;
    this.#session.output.setAudioEnabled(this.#person.isPresent);
    if (!this.#person.isPresent || this.#greeted) return;
    this.#greeted = true;
    if (this.#options.greeting) this.#greet(this.#options.greeting);
  }

  #greet(greeting: string): void {
    if (!this.#ordered) this.#session.say(greeting);
    else this.#session.generateReply({ instructions: greetingInstructions(greeting) });
  }

  /** Takes a typed message: it enters the transcript and is answered aloud. */
  async say(text: string): Promise<void> {
    if (this.#closing !== undefined || text.trim() === "") return;
    this.#report({ kind: "typed", text });
    const answering = this.#typing.then(() => this.#answerTyped(text));
    this.#typing = answering.catch(() => {});
    await answering;
  }

  /** What was heard of the answer before belongs to the history that the next answer follows. */
  async #answerTyped(text: string): Promise<void> {
    if (this.#closing !== undefined) return;
    const interrupted = this.#session.interrupt();
    await withDeadline(interrupted.await, INTERRUPT_TIMEOUT_MS, "an interruption").catch((error) =>
      this.#options.logger.warn({ err: messageOf(error) }, "an answer did not end in time"),
    );
    if (this.#closing === undefined) this.#session.generateReply({ userInput: text });
  }

  /**
   * Ends the conversation (its transcript is kept), closes the providers and leaves the room. Each
   * step has a deadline and runs even if the one before failed.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { logger } = this.#options;
    const step = async (what: string, timeoutMs: number, work: () => Promise<void>) => {
      try {
        await withDeadline(work(), timeoutMs, what);
      } catch (error) {
        logger.warn({ err: messageOf(error) }, `closing the agent: ${what} failed`);
      }
    };
    this.#stopReconnectTimer();
    clearTimeout(this.#subscribeTimer);
    stopAwaitingSubscribers(this.#room);
    // An end for an error does not wait half a second for the recogniser, as every other end does.
    // Only a person in the middle of a turn has words that may still come.
    if (this.#failedTurns.turnOver) {
      this.#session.shutdown({ drain: false, reason: voice.CloseReason.ERROR });
    }
    await step("ending the conversation", CLOSE_SESSION_TIMEOUT_MS, () => this.#session.close());
    this.#ordered?.flush();
    this.#stopReporting();
    await step("closing the providers", CLOSE_PROVIDERS_TIMEOUT_MS, () => this.#pipeline.close());
    await step("leaving the room", LEAVE_ROOM_TIMEOUT_MS, () => releaseRoom(this.#room));
    this.#session.removeAllListeners();
  }

  #personChanged(person: Person | undefined): void {
    if (!person && this.#listening) this.#session.interrupt();
    this.#options.onUser(person);
    if (!person) return;
    this.#updateVoice();
    const giveUp = () => stopAwaitingSubscribers(this.#room);
    this.#subscribeTimer ??= setTimeout(giveUp, SUBSCRIBE_TIMEOUT_MS);
  }

  #reconnecting(): void {
    this.#report({
      kind: "error",
      stage: "livekit",
      code: "livekit_reconnecting",
      message: "The agent lost its connection to LiveKit and is reconnecting.",
      recoverable: true,
    });
    this.#reconnectTimer ??= setTimeout(
      () => this.#reportEnd("livekit_lost"),
      RECONNECT_TIMEOUT_MS,
    );
  }

  #stopReconnectTimer(): void {
    clearTimeout(this.#reconnectTimer);
    this.#reconnectTimer = undefined;
  }

  #disconnected(reason: DisconnectReason): void {
    const isRoomClosed =
      reason === DisconnectReason.ROOM_CLOSED || reason === DisconnectReason.ROOM_DELETED;
    const isRemoved = reason === DisconnectReason.PARTICIPANT_REMOVED;
    this.#reportEnd(isRoomClosed || isRemoved ? "room_closed" : "livekit_lost");
  }

  readonly #report = (signal: AgentSignal): void => {
    if (signal.kind === "agent_state" && signal.state === "speaking") {
      if (this.#failureSound.isPlaying) return;
    }
    if (this.#ordered) this.#ordered.take(signal);
    else this.#publish(signal);
  };

  readonly #publish = (signal: AgentSignal): void => {
    const verdict = this.#failedTurns.judge(signal);
    if (verdict === "suppress") return;
    const fatal = verdict === "give_up" && { recoverable: false };
    this.#options.onSignal({
      ...signal,
      ...fatal,
      ...(verdict === "repeat" && { repeated: true }),
    });
    if (fatal) this.#reportEnd("provider_failed");
    if (signal.kind === "error" && signal.stage !== "livekit" && verdict === "pass") {
      this.#failureUnheard = true;
    }
    this.#soundFailure();
  };

  /** Lets a failure be heard once the person's turn is over; in the middle it would disturb them. */
  #soundFailure(): void {
    if (!this.#failureUnheard || !this.#failedTurns.turnOver) return;
    this.#failureUnheard = false;
    const isPossible = this.#listening && this.#closing === undefined && this.#person.isPresent;
    if (isPossible) this.#failureSound.play();
  }

  #reportEnd(reason: EndReason): void {
    if (this.#closing !== undefined || this.#isEndKnown) return;
    this.#isEndKnown = true;
    this.#options.onEnd(reason);
  }
}
