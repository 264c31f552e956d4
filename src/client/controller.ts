import type { LocalAudioTrack } from "livekit-client";
import { fetchToken, findSession, type SessionView, sendMessage } from "./api.ts";
import { Attempt } from "./attempt.ts";
import type { CallListener } from "./call.ts";
import type { ControllerDeps, StartForm } from "./controller-deps.ts";
import {
  type Action,
  type Conversation,
  canStart,
  canStop,
  IDLE,
  isLive,
  reduce,
} from "./conversation.ts";
import { forgetCall, type RememberedCall, rememberCall } from "./memory.ts";
import {
  asWarning,
  endingProblem,
  type Problem,
  ProblemError,
  problemOf,
  type Step,
} from "./problems.ts";
import { SessionDoubts } from "./session-doubts.ts";
import { SessionFeed } from "./session-feed.ts";

/**
 * Runs conversations: it turns taps and what happens in the room and the session into actions of
 * the pure state machine, and holds the one `Attempt` that owns what must be let go of.
 */
export class Controller {
  readonly #deps: ControllerDeps;
  readonly #doubts: SessionDoubts;
  #state: Conversation = IDLE;
  #attempt: Attempt | undefined;
  /** The goodbye of the conversation before; the next one waits for it. */
  #farewell: Promise<void> = Promise.resolve();

  constructor(deps: ControllerDeps) {
    this.#deps = deps;
    this.#doubts = new SessionDoubts({
      state: () => this.#state,
      isCurrent: (attempt) => this.#attempt === attempt,
      fail: (attempt, problem, endSession) => this.#fail(attempt, problem, endSession),
      ...(deps.agentGrace === undefined ? {} : { agentGrace: deps.agentGrace }),
    });
  }

  get state(): Conversation {
    return this.#state;
  }

  /** Begins a conversation. To be called inside the tap. */
  start(form: StartForm): void {
    if (!canStart(this.#state)) return;
    const attempt = this.#begin("token");
    const microphone = attempt.ownMicrophone(this.#deps.openMicrophone());
    microphone.catch(() => undefined);
    this.#guard(attempt, this.#startSession(attempt, form, microphone));
  }

  /** Finds the session of before a reload, and goes on with it if it is still live. */
  resume(call: RememberedCall): void {
    if (!canStart(this.#state)) return;
    const attempt = this.#begin("resume");
    this.#guard(attempt, this.#findAgain(attempt, call));
  }

  /** Ends the conversation, or gives up starting one. */
  async stop(): Promise<void> {
    const attempt = this.#attempt;
    if (attempt === undefined || !canStop(this.#state)) return;
    this.#dispatch({ type: "stop" });
    this.#drop(attempt, true);
    await this.#farewell;
    this.#dispatch({ type: "stopped" });
  }

  /** The page goes away: leaves the room, but the session stays for a reload to find. */
  leave(): void {
    void this.#attempt?.release(false);
  }

  async setMuted(muted: boolean): Promise<void> {
    const microphone = this.#attempt?.microphone;
    if (microphone === undefined) return;
    await (muted ? microphone.mute() : microphone.unmute());
    this.#dispatch({ type: "muted", muted });
  }

  /** Goes on with another microphone in mid-conversation. */
  async useMicrophone(deviceId: string): Promise<void> {
    const microphone = this.#attempt?.microphone;
    if (microphone === undefined) return;
    try {
      await microphone.setDeviceId(deviceId === "" ? "default" : deviceId);
      this.#deps.onMicrophone(microphone);
    } catch (cause) {
      this.#dispatch({ type: "notice", problem: asWarning(problemOf("microphone", cause)) });
    }
  }

  /** Plays the agent's voice after the browser refused to without a tap. */
  async unblockSound(): Promise<void> {
    await this.#attempt?.call.startAudio().catch(() => undefined);
  }

  /** Sends typed words; false if they did not arrive. */
  async send(text: string): Promise<boolean> {
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

  dismiss(): void {
    this.#dispatch({ type: "dismiss" });
  }

  #begin(step: Step): Attempt {
    const attempt: Attempt = new Attempt(this.#deps.makeCall(this.#listener(() => attempt)));
    this.#attempt = attempt;
    this.#deps.onBegin();
    this.#dispatch({ type: "start", step });
    return attempt;
  }

  async #startSession(attempt: Attempt, form: StartForm, microphone: Promise<LocalAudioTrack>) {
    await this.#farewell;
    const { name, ...request } = form;
    await this.#join(attempt, form, microphone);
    const id = await this.#step("session", attempt.createSession(request), attempt);
    rememberCall({ session_id: id, room: form.room, identity: form.identity, name });
    this.#live(attempt, { id, startedAt: Date.now(), fresh: true });
  }

  async #findAgain(attempt: Attempt, call: RememberedCall) {
    attempt.adoptSession(call.session_id);
    let session: SessionView | undefined;
    try {
      session = await this.#step("resume", findSession(call.session_id), attempt);
    } catch (cause) {
      if (this.#attempt !== attempt) return;
      // Not to be asked is not to be over: the next try, or the next sign-in, may find it.
      this.#fail(attempt, problemOf("resume", cause), false);
      rememberCall(call);
      return;
    }
    if (session === undefined || session.state === "ended" || session.state === "ending") {
      const reason = session?.end_reason ?? "user_left";
      throw new ProblemError({ ...endingProblem(reason), tone: "info", remedy: "none" });
    }
    await this.#join(attempt, call, attempt.ownMicrophone(this.#deps.openMicrophone()));
    const startedAt = Date.parse(session.started_at);
    this.#live(attempt, { id: call.session_id, startedAt, fresh: false });
  }

  async #join(
    attempt: Attempt,
    who: { room: string; identity: string; name: string },
    opening: Promise<LocalAudioTrack>,
  ) {
    opening.catch(() => undefined);
    const token = await this.#step("token", fetchToken(who, attempt.signal), attempt);
    const microphone = await this.#step("microphone", opening, attempt);
    this.#deps.onMicrophone(microphone);
    await this.#step("room", attempt.call.connect(this.#deps.liveKitUrl, token), attempt);
    await this.#step("room", attempt.call.publish(microphone), attempt);
  }

  /** Waits for one step, says which it is, and names it if it fails. */
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

  #live(attempt: Attempt, session: { id: string; startedAt: number; fresh: boolean }): void {
    const { id, startedAt, fresh } = session;
    this.#dispatch({ type: "live", sessionId: id, startedAt });
    const own = this.#only(attempt);
    attempt.ownFeed(
      new SessionFeed({
        url: this.#deps.socketUrl(id),
        fresh,
        dispatch: (action) => own(() => this.#dispatch(action)),
        onTranscript: (data, recent) => own(() => this.#deps.onTranscript(data, recent)),
        onEnded: (problem) => own(() => this.#fail(attempt, problem, false)),
        onDoubt: (tries) => own(() => void this.#doubts.ask(attempt, tries)),
      }),
    );
  }

  #listener(attempt: () => Attempt): CallListener {
    const own = (work: () => void) => this.#only(attempt())(work);
    return {
      onReconnecting: () => own(() => this.#dispatch({ type: "room", state: "reconnecting" })),
      onReconnected: () => own(() => this.#dispatch({ type: "room", state: "reconnected" })),
      onSoundBlocked: (blocked) => own(() => this.#dispatch({ type: "sound", blocked })),
      onLost: (loss) => own(() => void this.#doubts.roomLost(attempt(), loss)),
      onAgent: (present) =>
        own(() => {
          this.#dispatch({ type: "agent_present", present });
          if (!present) void this.#doubts.agentLeft(attempt());
        }),
    };
  }

  #guard(attempt: Attempt, work: Promise<void>): void {
    work.catch((cause: unknown) => this.#fail(attempt, problemOf("session", cause), true));
  }

  #fail(attempt: Attempt, problem: Problem, endSession: boolean): void {
    if (this.#attempt !== attempt) return;
    this.#drop(attempt, endSession);
    this.#dispatch({ type: "failed", problem });
  }

  #drop(attempt: Attempt, endSession: boolean): void {
    this.#attempt = undefined;
    forgetCall();
    this.#farewell = attempt.release(endSession);
    this.#deps.onMicrophone(undefined);
  }

  /** Runs work only while `attempt` is the current one: nothing late may touch a later one. */
  #only(attempt: Attempt): (work: () => void) => void {
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
