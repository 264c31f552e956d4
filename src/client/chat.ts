import { LogLevel, setLogLevel } from "livekit-client";
import { Call, liveKitUrlFor } from "./call.ts";
import { Controller } from "./controller.ts";
import { type Conversation, canStart, isLive } from "./conversation.ts";
import { MicrophonePicker } from "./microphone.ts";
import { byId, PageView } from "./page-view.ts";
import type { Remedy } from "./problems.ts";
import { rememberedCall, SetupForm } from "./setup-form.ts";
import { FollowScroll, TranscriptView } from "./transcript-view.ts";

// The script of the page to talk on: creates the parts and connects them. Clicks, room events and
// session events go to the controller, which turns them into actions of the reducer in
// `conversation.ts`. `render` passes each new state on to the views. Imports go downwards only:
//
//   chat
//   ├─ controller ─ liveness ─ attempt ─ call, transcript-socket
//   ├─ page-view, transcript-view, microphone
//   └─ setup-form, conversation ─ problems ─ api

const form = byId("chat-form", HTMLFormElement);
const stop = byId("stop", HTMLButtonElement);
const empty = byId("empty", HTMLElement);

const setup = new SetupForm({
  form,
  room: byId("room", HTMLInputElement),
  identity: byId("identity", HTMLInputElement),
  name: byId("name", HTMLInputElement),
  language: byId("language", HTMLSelectElement),
});
const scroll: FollowScroll = new FollowScroll(
  byId("transcript-scroll", HTMLElement),
  byId("jump", HTMLButtonElement),
  () => transcript.size > 0,
);
const transcript: TranscriptView = new TranscriptView(
  byId("transcript", HTMLElement),
  byId("announcer", HTMLElement),
  () => {
    empty.hidden = transcript.size > 0;
    scroll.update();
  },
);
const microphone = new MicrophonePicker(
  {
    select: byId("microphone", HTMLSelectElement),
    test: byId("test-microphone", HTMLButtonElement),
    hint: byId("microphone-hint", HTMLElement),
    meters: document.querySelectorAll<HTMLElement>("[data-level]"),
  },
  (deviceId) => controller.switchMicrophone(deviceId),
);
const page = new PageView(applyRemedy, () => controller.dismiss());

const controller: Controller = new Controller({
  liveKitUrl: liveKitUrlFor(form.dataset["livekitUrl"] ?? "", location.hostname),
  socketUrl: (id) =>
    `${location.origin.replace(/^http/, "ws")}/ws/transcript/${encodeURIComponent(id)}`,
  createCall: (listener) => new Call(byId("audio", HTMLElement), listener),
  openMicrophone: () => microphone.open(),
  onState: render,
  onTranscript: (data, recent) => transcript.apply(data, recent),
  onBegin: () => transcript.begin(setup.identity, setup.language),
  onMicrophone: (track) => microphone.showInUse(track),
});

let wasLive = false;

function render(state: Conversation): void {
  if (state.startedAt !== null) transcript.setOrigin(state.startedAt);
  if (canStart(state)) transcript.end();
  page.render(state);
  if (wasLive && canStart(state)) {
    wasLive = false;
    // HTMX reloads the list of recent conversations on this event.
    document.body.dispatchEvent(new CustomEvent("parley:ended"));
  }
  wasLive ||= isLive(state);
}

function start(): void {
  if (!canStart(controller.state)) return;
  const values = setup.submit();
  if (values === undefined) return;
  const call = rememberedCall();
  // Remembered still if the page could not find out whether the call's session is live. Starting
  // anew would then add a second session.
  if (call?.room === values.room && call.identity === values.identity) controller.resume(call);
  else controller.start(values);
}

/** Does what the notice's button says. */
function applyRemedy(remedy: Remedy): void {
  if (remedy === "other_room") setup.useOtherRoom();
  start();
  // The notice and its button have disappeared, so the keyboard focus needs a new place.
  stop.focus({ preventScroll: true });
}

function addListeners(): void {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    start();
  });
  stop.addEventListener("click", () => void controller.stop());
  byId("mute", HTMLButtonElement).addEventListener(
    "click",
    () => void controller.setMuted(!controller.state.muted),
  );
  byId("unmute-sound", HTMLButtonElement).addEventListener(
    "click",
    () => void controller.unblockSound(),
  );
  const message = byId("message", HTMLInputElement);
  byId("message-form", HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault();
    void sendMessage(message);
  });
  addEventListener("pagehide", () => controller.leave());
  // A page restored from the browser's back/forward cache has lost its room and its microphone.
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });
}

async function sendMessage(message: HTMLInputElement): Promise<void> {
  const text = message.value.trim();
  if (text === "") return;
  message.value = "";
  const arrived = await controller.sendMessage(text);
  // Puts the text back to be sent again, unless the person has typed something new meanwhile.
  if (!arrived && message.value === "") message.value = text;
}

function restore(): void {
  const call = rememberedCall();
  setup.restore(call);
  if (call) controller.resume(call);
}

setLogLevel(LogLevel.warn);
addListeners();
restore();
// Rendered disabled, because the form cannot be handled before this line.
byId("start", HTMLButtonElement).disabled = false;
