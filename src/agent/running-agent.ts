import { voice } from "@livekit/agents";
import {
  DisconnectReason,
  type Participant,
  ParticipantKind,
  type RemoteParticipant,
  Room,
  RoomEvent,
} from "@livekit/rtc-node";
import type { InferenceSession } from "onnxruntime-node";
import type { Logger } from "pino";
import type { EndReason } from "../domain/session.ts";
import { messageOf } from "../errors.ts";
import { untilAborted, withDeadline } from "../lib/deadline.ts";
import { SILENCE_MS } from "./end-of-turn.ts";
import { FailedTurns } from "./failed-turns.ts";
import type { AgentSignal } from "./normalize-events.ts";
import { createPipeline, type Pipeline, type PipelineOptions } from "./pipeline.ts";
import { releaseRoom, stopAwaitingListeners } from "./release-room.ts";
import { reportSignals, reportSpokenText } from "./signals.ts";

export interface RunningAgentOptions {
  url: string;
  token: string;
  /** Whom the agent listens to; undefined: the first person in the room. */
  userIdentity: string | undefined;
  instructions: string;
  greeting: string | null;
  pipeline: PipelineOptions;
  logger: Logger;
  onSignal(signal: AgentSignal): void;
  /** The person joined or left; `name` is what others see. */
  onUser(user: { identity: string; name: string } | undefined): void;
  /** The agent can go on no longer. Called at most once, and not after `close`. */
  onEnd(reason: EndReason): void;
}

const CONNECT_MS = 10_000;
const CLOSE_SESSION_MS = 4000;
const LEAVE_ROOM_MS = 2000;
/** How long LiveKit may be away before the conversation ends, in ms; rtc-node may try for ever. */
const RECONNECT_MS = 20_000;

/**
 * Speech of the user after which the agent falls silent, in ms: four windows of the VAD. A click is
 * shorter; after a cough the agent goes on, so that a wrong guess costs little and a late one much.
 */
const BARGE_IN_MS = 120;
/** Silence after a cough, in ms, after which the agent goes on where it stopped. */
const FALSE_INTERRUPTION_MS = 1500;
/** The providers' clients repeat what is worth it and give up on what hangs. */
const CONNECTION = { maxRetry: 0, retryIntervalMs: 0, timeoutMs: 20_000 };

/** One agent in one room: a connected `Room` and the `AgentSession` that talks in it. */
export class RunningAgent {
  readonly #options: RunningAgentOptions;
  readonly #room = new Room();
  readonly #pipeline: Pipeline;
  readonly #session: voice.AgentSession;
  readonly #failedTurns = new FailedTurns();
  #stopReports = () => {};
  #lost: ReturnType<typeof setTimeout> | undefined;
  #closing: Promise<void> | undefined;
  /** The person in the room; kept in `#identity` after they left, since only they may come back. */
  #user: string | undefined;
  #identity: string | undefined;
  #listening = false;
  #greeted = false;

  private constructor(options: RunningAgentOptions, vadModel: InferenceSession) {
    this.#options = options;
    this.#identity = options.userIdentity;
    this.#pipeline = createPipeline(options.pipeline, vadModel);
    this.#session = createSession(this.#pipeline);
  }

  /**
   * Joins the room and starts to listen.
   *
   * @param signal aborting it makes the start fail and leaves nothing behind
   * @throws whatever made it fail, after everything that was opened is closed again
   */
  static async start(
    options: RunningAgentOptions,
    vadModel: InferenceSession,
    signal: AbortSignal,
  ): Promise<RunningAgent> {
    const agent = new RunningAgent(options, vadModel);
    try {
      await agent.#join(signal);
      await agent.#listen();
      signal.throwIfAborted();
      return agent;
    } catch (error) {
      await agent.close();
      throw error;
    }
  }

  async #join(signal: AbortSignal): Promise<void> {
    const { url, token } = this.#options;
    this.#room.on(RoomEvent.ParticipantConnected, (participant) => this.#meet(participant));
    this.#room.on(RoomEvent.ParticipantDisconnected, (participant) => this.#part(participant));
    this.#room.on(RoomEvent.Disconnected, (reason) => this.#disconnected(reason));
    this.#room.on(RoomEvent.Reconnecting, () => this.#reconnecting());
    this.#room.on(RoomEvent.Reconnected, () => this.#backInRoom());
    const connected = this.#room.connect(url, token);
    try {
      await untilAborted(signal, withDeadline(connected, CONNECT_MS, "joining the room"));
    } catch (error) {
      // It cannot be called off; a connection that comes too late is left at once. Whoever stops a
      // session that starts is told that it ended when the agent is out, if that comes soon.
      const left = connected.then(
        () => releaseRoom(this.#room),
        () => {},
      );
      await withDeadline(left, LEAVE_ROOM_MS, "leaving the room").catch(() => {});
      throw error;
    }
    for (const participant of this.#room.remoteParticipants.values()) this.#meet(participant);
  }

  async #listen(): Promise<void> {
    const { userIdentity } = this.#options;
    this.#stopReports = reportSignals(this.#session, this.#report);
    this.#session.once(voice.AgentSessionEventTypes.Close, (event) => {
      if (event.reason === voice.CloseReason.ERROR) this.#end("provider_failed");
    });
    await this.#session.start({
      agent: new TurnReportingAgent(this.#options.instructions, this.#report),
      room: this.#room,
      record: false,
      inputOptions: {
        ...(userIdentity === undefined ? {} : { participantIdentity: userIdentity }),
        audioSampleRate: this.#pipeline.sampleRate,
        // A reload leaves and comes back; the manager decides when somebody is really gone.
        closeOnDisconnect: false,
        textInputCallback: (_session, event) => this.say(event.text),
      },
    });
    reportSpokenText(this.#session, this.#report);
    this.#listening = true;
    this.#speakTo(this.#user);
  }

  /**
   * Speaks aloud once somebody has come, since audio waits for a listener; typed words are answered
   * in writing until then. The first who comes is greeted.
   */
  #speakTo(user: string | undefined): void {
    if (!this.#listening) return;
    this.#session.output.setAudioEnabled(user !== undefined);
    if (user === undefined || this.#greeted) return;
    this.#greeted = true;
    if (this.#options.greeting) this.#session.say(this.#options.greeting);
  }

  /** Takes typed words: they enter the transcript and are answered aloud. */
  async say(text: string): Promise<void> {
    if (this.#closing !== undefined || text.trim() === "") return;
    this.#report({ kind: "typed", text });
    this.#session.interrupt();
    this.#session.generateReply({ userInput: text });
  }

  /**
   * Leaves: first the conversation ends (what was said is kept), then the providers are let go,
   * then the room is left. Each step has a deadline and runs whatever became of the one before.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { logger } = this.#options;
    const step = async (what: string, ms: number, work: () => Promise<void>) => {
      try {
        await withDeadline(work(), ms, what);
      } catch (error) {
        logger.warn({ err: messageOf(error) }, `closing the agent: ${what} failed`);
      }
    };
    this.#reconnected();
    stopAwaitingListeners(this.#room);
    await step("ending the conversation", CLOSE_SESSION_MS, () => this.#session.close());
    this.#report({ kind: "close" });
    this.#stopReports();
    await step("letting the providers go", LEAVE_ROOM_MS, () => this.#pipeline.close());
    await step("leaving the room", LEAVE_ROOM_MS, () => releaseRoom(this.#room));
    this.#session.removeAllListeners();
  }

  #meet(participant: Participant): void {
    if (participant.info.kind === ParticipantKind.AGENT || this.#user !== undefined) return;
    if (this.#identity !== undefined && participant.identity !== this.#identity) return;
    this.#user = participant.identity;
    this.#identity = participant.identity;
    this.#options.onUser({ identity: participant.identity, name: participant.name ?? "" });
    this.#speakTo(this.#user);
  }

  /** While the connection is down nobody is said to have left; once it is back, who is missing has. */
  #part(participant: RemoteParticipant): void {
    if (participant.identity !== this.#user || this.#lost !== undefined) return;
    this.#userLeft();
  }

  #userLeft(): void {
    this.#user = undefined;
    this.#session.interrupt();
    this.#options.onUser(undefined);
  }

  #reconnecting(): void {
    this.#report({
      kind: "error",
      stage: "livekit",
      code: "livekit_reconnecting",
      message: "The agent lost its connection to LiveKit and is reconnecting.",
      recoverable: true,
    });
    this.#lost ??= setTimeout(() => this.#end("livekit_lost"), RECONNECT_MS);
  }

  #backInRoom(): void {
    this.#reconnected();
    if (this.#user !== undefined && !this.#room.remoteParticipants.has(this.#user)) {
      this.#userLeft();
    }
    for (const participant of this.#room.remoteParticipants.values()) this.#meet(participant);
  }

  #reconnected(): void {
    clearTimeout(this.#lost);
    this.#lost = undefined;
  }

  #disconnected(reason: DisconnectReason): void {
    const closed =
      reason === DisconnectReason.ROOM_CLOSED || reason === DisconnectReason.ROOM_DELETED;
    const removed = reason === DisconnectReason.PARTICIPANT_REMOVED;
    this.#end(closed || removed ? "room_closed" : "livekit_lost");
  }

  readonly #report = (signal: AgentSignal): void => {
    const verdict = this.#failedTurns.judge(signal);
    if (verdict === "hush") return;
    const last = verdict === "give_up" && { recoverable: false };
    this.#options.onSignal({ ...signal, ...last });
    if (last) this.#end("provider_failed");
  };

  #end(reason: EndReason): void {
    if (this.#closing === undefined) this.#options.onEnd(reason);
  }
}

function createSession(pipeline: Pipeline): voice.AgentSession {
  return new voice.AgentSession({
    vad: pipeline.vad,
    stt: pipeline.stt,
    llm: pipeline.llm,
    tts: pipeline.tts,
    connOptions: {
      sttConnOptions: CONNECTION,
      llmConnOptions: CONNECTION,
      ttsConnOptions: CONNECTION,
      // It would count requests; `FailedTurns` counts turns.
      maxUnrecoverableErrors: Number.POSITIVE_INFINITY,
    },
    // Presence and idleness are the manager's; browsers cancel their own echo.
    userAwayTimeout: null,
    aecWarmupDuration: null,
    turnHandling: {
      // The STT holds a final back until the turn is over; the session then waits no longer.
      turnDetection: "vad",
      endpointing: { mode: "fixed", minDelay: SILENCE_MS.complete, maxDelay: SILENCE_MS.complete },
      interruption: {
        mode: "vad",
        minDuration: BARGE_IN_MS,
        falseInterruptionTimeout: FALSE_INTERRUPTION_MS,
      },
      preemptiveGeneration: { enabled: true, preemptiveTts: true },
    },
  });
}

/** Tells when the user's turn is over, before the answer to it begins. */
class TurnReportingAgent extends voice.Agent {
  readonly #emit: (signal: AgentSignal) => void;

  constructor(instructions: string, emit: (signal: AgentSignal) => void) {
    super({ id: "parley", instructions });
    this.#emit = emit;
  }

  override async onUserTurnCompleted(
    _context: Parameters<voice.Agent["onUserTurnCompleted"]>[0],
    message: Parameters<voice.Agent["onUserTurnCompleted"]>[1],
  ): Promise<void> {
    this.#emit({ kind: "user_turn", text: message.textContent ?? "" });
  }
}
