import { formatElapsed } from "../lib/words.ts";
import {
  type Conversation,
  canStart,
  canStop,
  isLive,
  type Phase,
  shownAgent,
} from "./conversation.ts";
import type { Problem, Remedy, Step } from "./problems.ts";

const PHASES: Record<Phase, string> = {
  idle: "Ready",
  connecting: "Connecting…",
  live: "Live",
  reconnecting: "Reconnecting…",
  stopping: "Stopping…",
  failed: "Stopped",
};

const STEPS: Record<Step, string> = {
  token: "Connecting…",
  microphone: "Waiting for the microphone…",
  room: "Joining the room…",
  session: "Starting the agent…",
  resume: "Reconnecting to your conversation…",
};

const AGENT = {
  off: "Agent",
  initializing: "Getting ready",
  listening: "Listening",
  thinking: "Thinking",
  speaking: "Speaking",
};

/** Shows the state of the conversation everywhere on the page except in the transcript. */
export class PageView {
  readonly #page = byId("talk", HTMLElement);
  readonly #status = byId("status", HTMLElement);
  readonly #agent = byId("agent-state", HTMLElement);
  readonly #user = byId("user-state", HTMLElement);
  readonly #elapsed = byId("elapsed", HTMLElement);
  readonly #latency = byId("latency", HTMLElement);
  readonly #start = byId("start", HTMLButtonElement);
  readonly #stop = byId("stop", HTMLButtonElement);
  readonly #mute = byId("mute", HTMLButtonElement);
  readonly #sound = byId("unmute-sound", HTMLButtonElement);
  readonly #message = byId("message", HTMLInputElement);
  readonly #send = byId("send", HTMLButtonElement);
  readonly #fields = byId("setup-fields", HTMLFieldSetElement);
  readonly #notice: NoticeView;
  #startedAt: number | null = null;

  constructor(onRemedy: (remedy: Remedy) => void, onDismiss: () => void) {
    this.#notice = new NoticeView(onRemedy, onDismiss);
    setInterval(() => this.#renderElapsed(), 500);
  }

  render(state: Conversation): void {
    const live = isLive(state);
    this.#page.dataset["state"] = state.phase;
    show(this.#status, state.phase, state.step ? STEPS[state.step] : PHASES[state.phase]);
    const agent = shownAgent(state);
    show(this.#agent, agent, AGENT[agent]);
    show(this.#user, state.userSpeaking ? "speaking" : "quiet", userLabel(state));
    this.#renderButtons(state);
    this.#message.disabled = !live;
    this.#send.disabled = !live;
    this.#fields.disabled = !canStart(state);
    this.#startedAt = live ? state.startedAt : null;
    this.#renderElapsed();
    setText(this.#latency, latencyLabel(state));
    if (live && state.sessionId !== null) {
      document.documentElement.dataset["sessionId"] = state.sessionId;
    } else delete document.documentElement.dataset["sessionId"];
    this.#notice.render(state.notice);
  }

  #renderButtons(state: Conversation): void {
    const running = !canStart(state);
    const focused = document.activeElement;
    this.#start.hidden = running;
    this.#stop.hidden = !running;
    // Not `disabled`, which would take the keyboard focus away. A second stop does nothing.
    this.#stop.setAttribute("aria-disabled", String(running && !canStop(state)));
    setText(byId("stop-label", HTMLElement), stopLabel(state.phase));
    this.#mute.disabled = !isLive(state);
    this.#mute.setAttribute("aria-pressed", String(state.muted));
    setText(byId("mute-label", HTMLElement), state.muted ? "Unmute" : "Mute");
    this.#sound.hidden = !state.soundBlocked;
    // Start and Stop replace each other, so the keyboard focus must move along.
    if (focused === this.#start && running) this.#stop.focus();
    if (focused === this.#stop && !running) this.#start.focus();
  }

  #renderElapsed(): void {
    const text = this.#startedAt === null ? "0:00" : formatElapsed(Date.now() - this.#startedAt);
    setText(this.#elapsed, text);
  }
}

function stopLabel(phase: Phase): string {
  if (phase === "connecting") return "Cancel";
  return phase === "stopping" ? "Stopping…" : "Stop";
}

/** Whether the agent is in the room, and how soon it answered after the person stopped speaking. */
function latencyLabel(state: Conversation): string {
  if (!isLive(state) || !state.agentPresent) return "Not connected";
  if (state.latencyMs === null) return "Connected";
  return `Answered in ${(state.latencyMs / 1000).toFixed(1)} s`;
}

function userLabel(state: Conversation): string {
  if (state.muted) return "You are muted";
  return state.userSpeaking ? "You are speaking" : "You";
}

const ACTION_LABELS: Record<Remedy, string> = {
  retry: "Try again",
  other_room: "Use another room",
  sign_in: "Sign in",
  none: "",
};

/** The page's only notice: what happened, what to do about it, and a button that does it. */
class NoticeView {
  readonly #box = byId("notice", HTMLElement);
  readonly #title = byId("notice-title", HTMLElement);
  readonly #detail = byId("notice-detail", HTMLElement);
  readonly #action = byId("notice-action", HTMLButtonElement);
  readonly #signIn = byId("notice-sign-in", HTMLAnchorElement);
  #shown: Problem | null = null;

  constructor(onRemedy: (remedy: Remedy) => void, onDismiss: () => void) {
    this.#action.addEventListener("click", () => {
      if (this.#shown) onRemedy(this.#shown.remedy);
    });
    byId("notice-dismiss", HTMLButtonElement).addEventListener("click", () => {
      onDismiss();
      byId("start", HTMLButtonElement).focus({ preventScroll: true });
    });
  }

  render(problem: Problem | null): void {
    if (problem === this.#shown) return;
    this.#shown = problem;
    this.#box.hidden = problem === null;
    if (problem === null) return;
    this.#box.dataset["tone"] = problem.tone;
    this.#title.textContent = problem.title;
    this.#detail.textContent = problem.detail;
    this.#action.hidden = problem.remedy !== "retry" && problem.remedy !== "other_room";
    this.#action.textContent = ACTION_LABELS[problem.remedy];
    this.#signIn.hidden = problem.remedy !== "sign_in";
  }
}

type Constructor<T extends Element> = new (...args: never[]) => T;

/** The element with that id. Throws if it is missing or of another kind, which is a bug. */
export function byId<T extends Element>(id: string, kind: Constructor<T>): T {
  const element = document.getElementById(id);
  if (element instanceof kind) return element;
  throw new Error(`The page has no ${kind.name} #${id}`);
}

/** Sets a state as `data-state`, for styles and tests, and as text. */
function show(element: HTMLElement, state: string, text: string): void {
  if (element.dataset["state"] !== state) element.dataset["state"] = state;
  setText(element.querySelector(".label") ?? element, text);
}

/** Sets a text only if it changed: a screen reader reads a text again each time it is set. */
function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}
