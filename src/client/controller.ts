import type { LocalAudioTrack } from "livekit-client";
import type { TranscriptData } from "../domain/transcript.ts";
import { fetchToken, findSession, type SessionView, sendMessage } from "./api.ts";
import { Attempt } from "./attempt.ts";
import type { Call, CallListener } from "./call.ts";
import {
  type Action,
  type Conversation,
  canStart,
  canStop,
  IDLE,
  isLive,
  reduce,
} from "./conversation.ts";
import { Liveness } from "./liveness.ts";
import {
  asWarning,
  endingProblem,
  type Problem,
  ProblemError,
  problemOf,
  type Step,
} from "./problems.ts";
import { forgetCall, type RememberedCall, rememberCall, type StartForm } from "./setup-form.ts";
import { SessionFeed } from "./transcript-socket.ts";

/** What a `Controller` needs from the page and the browser. */
export interface ControllerDeps {
  liveKitUrl: string;
  socketUrl: (sessionId: string) => string;
  createCall: (listener: CallListener) => Call;
  openMicrophone: () => Promise<LocalAudioTrack>;
  onState: (state: Conversation) => void;
  onTranscript: (data: TranscriptData, recent: boolean) => void;
  /** A conversation begins, so the transcript of the previous one must go. */
  onBegin: () => void;
  /** The microphone in use; undefined once it was released. */
  onMicrophone: (track: LocalAudioTrack | undefined) => void;
  /** Overridden by tests. */
  agentCheckMs?: number;
}

/**
 * Runs conversations. Turns clicks and the events of the room and the session into actions of the
 * reducer (`conversation.ts`), and holds the current `Attempt`, which owns what must be released.
 */
export class Controller {
  readonly #deps: ControllerDeps;
  readonly #liveness: Liveness;
  #state: Conversation = IDLE;
  #attempt: Attempt | undefined;
  /** The release of the previous attempt, which the next start waits for. */
  #releasing: Promise<void> = Promise.resolve();

  constructor(deps: ControllerDeps) {
    this.#deps = deps;
    this.#liveness = new Liveness({
      state: () => this.#state,
      isCurrent: (attempt) => this.#attempt === attempt,
      fail: (attempt, problem, endSession) => this.#fail(attempt, problem, endSession),
      agentCheckMs: deps.agentCheckMs,
    });
  }

  get state(): Conversation {
    return this.#state;
  }

  /** Starts a conversation. Must be called inside the click, for the audio to be unlocked. */
  start(form: StartForm): void {
    if (!canStart(this.#state)) return;
    const attempt = this.#begin("token");
    const microphone = attempt.acquireMicrophone(this.#deps.openMicrophone());
    // Reported later, by the step that awaits it; until then it would count as unhandled.
    microphone.catch(() => undefined);
    this.#failOnError(attempt, this.#startSession(attempt, form, microphone));
  }

  /** Continues the session from before a reload if it is still live. */
  resume(call: RememberedCall): void {
    if (!canStart(this.#state)) return;
    const attempt = this.#begin("resume");
    this.#failOnError(attempt, this.#resumeSession(attempt, call));
  }

  /** Ends the conversation or cancels the start of one. */
  async stop(): Promise<void> {
    const attempt = this.#attempt;
    if (attempt === undefined || !canStop(this.#state)) return;
    this.#dispatch({ type: "stop" });
    this.#release(attempt, true);
    await this.#releasing;
    this.#dispatch({ type: "stopped" });
  }

  /** The page is being closed: leaves the room but keeps the session, so that a reload finds it. */
  leave(): void {
    void this.#attempt?.release(false);
  }

  /** Mutes or unmutes the microphone. */
  async setMuted(muted: boolean): Promise<void> {
    const microphone = this.#attempt?.microphone;
    if (microphone === undefined) return;
    await (muted ? microphone.mute() : microphone.unmute());
    this.#dispatch({ type: "muted", muted });
  }

  /** Switches to another microphone during the conversation. */
  async switchMicrophone(deviceId: string): Promise<void> {
    const microphone = this.#attempt?.microphone;
    if (microphone === undefined) return;
    try {
      await microphone.setDeviceId(deviceId === "" ? "default" : deviceId);
      this.#deps.onMicrophone(microphone);
    } catch (cause) {
      this.#dispatch({ type: "notice", problem: asWarning(problemOf("microphone", cause)) });
    }
  }

  /** Plays the agent's voice after the browser refused to. Must be called inside a click. */
  async unblockSound(): Promise<void> {
    await this.#attempt?.call.startAudio().catch(() => undefined);
  }

  /** Sends a typed message. Returns whether it arrived. */
  async sendMessage(text: string): Promise<boolean> {
    const id = this.#state.sessionId;
    if (id === null || !isLive(this.#state)) return false;
    try {
      await sendMessage(id, text);
      return true;
    } catch (cause) {
      const problem = { ...problemOf("session", cause), title: "Your message was not sent" };
      this.#dispatch({ type: "notice", problem: asWarning(problem) });
      return false;
    }
  }

  /** Removes the notice. */
  dismiss(): void {
    this.#dispatch({ type: "dismiss" });
  }

  #begin(step: Step): Attempt {
    const attempt: Attempt = new Attempt(this.#deps.createCall(this.#callListener(() => attempt)));
    this.#attempt = attempt;
    this.#deps.onBegin();
    this.#dispatch({ type: "start", step });
    return attempt;
  }

  async #startSession(attempt: Attempt, form: StartForm, microphone: Promise<LocalAudioTrack>) {
    await this.#releasing;
    const { name, ...request } = form;
    await this.#join(attempt, form, microphone);
    const id = await this.#step("session", attempt.createSession(request), attempt);
    rememberCall({ session_id: id, room: form.room, identity: form.identity, name });
    this.#enterLive(attempt, { id, startedAt: Date.now(), fresh: true });
  }

  async #resumeSession(attempt: Attempt, call: RememberedCall) {
    attempt.adoptSession(call.session_id);
    let session: SessionView | undefined;
    try {
      session = await this.#step("resume", findSession(call.session_id), attempt);
    } catch (cause) {
      if (this.#attempt !== attempt) return;
      // The session may still be live, so the next start, or a sign-in, must be able to find it.
      this.#fail(attempt, problemOf("resume", cause), false);
      rememberCall(call);
      return;
    }
    if (session === undefined || session.state === "ended" || session.state === "ending") {
      const reason = session?.end_reason ?? "user_left";
      throw new ProblemError({ ...endingProblem(reason), tone: "info", remedy: "none" });
    }
    await this.#join(attempt, call, attempt.acquireMicrophone(this.#deps.openMicrophone()));
    const startedAt = Date.parse(session.started_at);
    this.#enterLive(attempt, { id: call.session_id, startedAt, fresh: false });
  }

  async #join(
    attempt: Attempt,
    participant: { room: string; identity: string; name: string },
    opening: Promise<LocalAudioTrack>,
  ) {
    opening.catch(() => undefined);
    const token = await this.#step("token", fetchToken(participant, attempt.signal), attempt);
    const microphone = await this.#step("microphone", opening, attempt);
    this.#deps.onMicrophone(microphone);
    await this.#step("room", attempt.call.connect(this.#deps.liveKitUrl, token), attempt);
    await this.#step("room", attempt.call.publish(microphone), attempt);
  }

  /** Shows a step while it runs. Rejects with its problem, or if the attempt was released. */
  async #step<T>(step: Step, work: Promise<T>, attempt: Attempt): Promise<T> {
    if (this.#attempt === attempt) this.#dispatch({ type: "step", step });
    try {
      return await work;
    } catch (cause) {
      throw new ProblemError(problemOf(step, cause), cause);
    } finally {
      attempt.signal.throwIfAborted();
    }
  }

  #enterLive(attempt: Attempt, session: { id: string; startedAt: number; fresh: boolean }): void {
    const { id, startedAt, fresh } = session;
    this.#dispatch({ type: "live", sessionId: id, startedAt });
    const ifCurrent = this.#ifCurrent(attempt);
    attempt.acquireFeed(
      new SessionFeed({
        url: this.#deps.socketUrl(id),
        fresh,
        dispatch: (action) => ifCurrent(() => this.#dispatch(action)),
        onTranscript: (data, recent) => ifCurrent(() => this.#deps.onTranscript(data, recent)),
        onEnded: (problem) => ifCurrent(() => this.#fail(attempt, problem, false)),
        onOutage: (retries) => ifCurrent(() => void this.#liveness.check(attempt, retries)),
      }),
    );
  }

  #callListener(attempt: () => Attempt): CallListener {
    const ifCurrent = (work: () => void) => this.#ifCurrent(attempt())(work);
    return {
      onReconnecting: () =>
        ifCurrent(() => this.#dispatch({ type: "room", state: "reconnecting" })),
      onReconnected: () => ifCurrent(() => this.#dispatch({ type: "room", state: "reconnected" })),
      onSoundBlocked: (blocked) => ifCurrent(() => this.#dispatch({ type: "sound", blocked })),
      onDisconnected: (cause) => ifCurrent(() => void this.#liveness.roomLost(attempt(), cause)),
      onAgentPresence: (present) =>
        ifCurrent(() => {
          this.#dispatch({ type: "agent_present", present });
          if (!present) void this.#liveness.agentLeft(attempt());
        }),
    };
  }

  #failOnError(attempt: Attempt, work: Promise<void>): void {
    work.catch((cause: unknown) => this.#fail(attempt, problemOf("session", cause), true));
  }

  #fail(attempt: Attempt, problem: Problem, endSession: boolean): void {
    if (this.#attempt !== attempt) return;
    this.#release(attempt, endSession);
    this.#dispatch({ type: "failed", problem });
  }

  #release(attempt: Attempt, endSession: boolean): void {
    this.#attempt = undefined;
    forgetCall();
    this.#releasing = attempt.release(endSession);
    this.#deps.onMicrophone(undefined);
  }

  /** Runs work only while `attempt` is current, so that its late events do not reach a later one. */
  #ifCurrent(attempt: Attempt): (work: () => void) => void {
    return (work) => {
      if (this.#attempt === attempt) work();
    };
  }

  #dispatch(action: Action): void {
    const next = reduce(this.#state, action);
    if (next === this.#state) return;
    this.#state = next;
    this.#deps.onState(next);
  }
}
