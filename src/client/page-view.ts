import {
  type Conversation,
  canStart,
  canStop,
  isLive,
  type Phase,
  shownAgent,
} from "./conversation.ts";
import { byId } from "./elements.ts";
import { clock } from "./names.ts";
import { NoticeView } from "./notice-view.ts";
import type { Remedy, Step } from "./problems.ts";

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
  session: "Calling the agent…",
  resume: "Finding your conversation…",
};

const AGENT = {
  off: "Agent",
  initializing: "Getting ready",
  listening: "Listening",
  thinking: "Thinking",
  speaking: "Speaking",
};

/** Shows the state of the conversation everywhere on the page but in the transcript. */
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
    setInterval(() => this.#tick(), 500);
  }

  render(state: Conversation): void {
    const live = isLive(state);
    this.#page.dataset["state"] = state.phase;
    show(this.#status, state.phase, state.step ? STEPS[state.step] : PHASES[state.phase]);
    const agent = shownAgent(state);
    show(this.#agent, agent, AGENT[agent]);
    show(this.#user, state.userSpeaking ? "speaking" : "quiet", youAre(state));
    this.#renderButtons(state);
    this.#message.disabled = !live;
    this.#send.disabled = !live;
    this.#fields.disabled = !canStart(state);
    this.#startedAt = live ? state.startedAt : null;
    this.#tick();
    setText(this.#latency, aboutAgent(state));
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
    // Not `disabled`: that would take the keyboard's focus away. A second stop does nothing.
    this.#stop.setAttribute("aria-disabled", String(running && !canStop(state)));
    setText(byId("stop-label", HTMLElement), stopLabel(state.phase));
    this.#mute.disabled = !isLive(state);
    this.#mute.setAttribute("aria-pressed", String(state.muted));
    setText(byId("mute-label", HTMLElement), state.muted ? "Unmute" : "Mute");
    this.#sound.hidden = !state.soundBlocked;
    // The one button takes the other's place; whoever uses the keyboard stays there.
    if (focused === this.#start && running) this.#stop.focus();
    if (focused === this.#stop && !running) this.#start.focus();
  }

  #tick(): void {
    const text = this.#startedAt === null ? "0:00" : clock(Date.now() - this.#startedAt);
    setText(this.#elapsed, text);
  }
}

function stopLabel(phase: Phase): string {
  if (phase === "connecting") return "Cancel";
  return phase === "stopping" ? "Stopping…" : "Stop";
}

/** Where the agent is and how quick it was: from the end of one's words to its voice. */
function aboutAgent(state: Conversation): string {
  if (!isLive(state) || !state.agentPresent) return "Not in the room";
  if (state.latencyMs === null) return "In the room";
  return `Answered in ${(state.latencyMs / 1000).toFixed(1)} s`;
}

function youAre(state: Conversation): string {
  if (state.muted) return "You are muted";
  return state.userSpeaking ? "You are speaking" : "You";
}

/** A state as `data-state`, for styles and tests, and in words. */
function show(element: HTMLElement, state: string, text: string): void {
  if (element.dataset["state"] !== state) element.dataset["state"] = state;
  setText(element.querySelector(".label") ?? element, text);
}

/** Only a changed text is set: a screen reader says again what is set again. */
function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}
