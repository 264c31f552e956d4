import { LogLevel, setLogLevel } from "livekit-client";
import { Call } from "./call.ts";
import { Controller } from "./controller.ts";
import type { StartForm } from "./controller-deps.ts";
import { type Conversation, canStart, isLive } from "./conversation.ts";
import { byId } from "./elements.ts";
import { FollowScroll } from "./follow-scroll.ts";
import { liveKitUrlFor } from "./livekit-url.ts";
import { preference, rememberedCall, setPreference } from "./memory.ts";
import { MicrophonePicker } from "./microphone-picker.ts";
import { otherRoom, randomName } from "./names.ts";
import { PageView } from "./page-view.ts";
import type { Remedy } from "./problems.ts";
import { TranscriptView } from "./transcript-view.ts";

const form = byId("chat-form", HTMLFormElement);
const room = byId("room", HTMLInputElement);
const identity = byId("identity", HTMLInputElement);
const displayName = byId("name", HTMLInputElement);
const empty = byId("empty", HTMLElement);
const mute = byId("mute", HTMLButtonElement);

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
    scroll.grew();
  },
);
const microphone = new MicrophonePicker((deviceId) => controller.useMicrophone(deviceId));
const page = new PageView(act, () => controller.dismiss());

const controller: Controller = new Controller({
  liveKitUrl: liveKitUrlFor(form.dataset["livekitUrl"] ?? "", location.hostname),
  socketUrl: (id) =>
    `${location.origin.replace(/^http/, "ws")}/ws/transcript/${encodeURIComponent(id)}`,
  makeCall: (listener) => new Call(byId("audio", HTMLElement), listener),
  openMicrophone: () => microphone.open(),
  onState: render,
  onTranscript: (data, recent) => transcript.apply(data, recent),
  onBegin: () => transcript.begin(identity.value.trim()),
  onMicrophone: (track) => microphone.inUse(track),
});

let wasLive = false;

function render(state: Conversation): void {
  if (state.startedAt !== null) transcript.setOrigin(state.startedAt);
  if (canStart(state)) transcript.end();
  page.render(state);
  const live = isLive(state);
  if (wasLive && canStart(state)) {
    wasLive = false;
    // HTMX reloads the list of recent conversations on this.
    document.body.dispatchEvent(new CustomEvent("parley:ended"));
  }
  wasLive ||= live;
}

function formValues(): StartForm {
  const value = (name: string): string => String(new FormData(form).get(name) ?? "").trim();
  return {
    room: value("room"),
    identity: value("identity"),
    name: value("name"),
    system_prompt: value("system_prompt"),
    greeting: value("greeting"),
    voice: value("voice"),
  };
}

function start(): void {
  if (!canStart(controller.state) || !form.reportValidity()) return;
  const values = formValues();
  setPreference("name", values.name);
  setPreference("identity", values.identity);
  const call = rememberedCall();
  // Left over only if the live session could not be asked for; else a second one would begin.
  if (call?.room === values.room && call.identity === values.identity) controller.resume(call);
  else controller.start(values);
}

/** What the notice's button does. */
function act(remedy: Remedy): void {
  if (remedy === "other_room") room.value = otherRoom(room.value);
  start();
  // The notice and its button are gone; what follows them is the way to stop.
  byId("stop", HTMLButtonElement).focus({ preventScroll: true });
}

function wireControls(): void {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    start();
  });
  byId("stop", HTMLButtonElement).addEventListener("click", () => void controller.stop());
  mute.addEventListener("click", () => void controller.setMuted(!controller.state.muted));
  byId("unmute-sound", HTMLButtonElement).addEventListener(
    "click",
    () => void controller.unblockSound(),
  );
  const message = byId("message", HTMLInputElement);
  byId("message-form", HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault();
    void send(message);
  });
}

async function send(message: HTMLInputElement): Promise<void> {
  const text = message.value.trim();
  if (text === "") return;
  message.value = "";
  const sent = await controller.send(text);
  // Words that did not arrive come back to be sent again, unless newer ones were typed meanwhile.
  if (!sent && message.value === "") message.value = text;
}

function restore(): void {
  displayName.value ||= preference("name") ?? "";
  identity.value = preference("identity") || randomName("guest");
  const call = rememberedCall();
  if (call === undefined) return;
  room.value = call.room;
  identity.value = call.identity;
  displayName.value = call.name;
  controller.resume(call);
}

setLogLevel(LogLevel.warn);
wireControls();
restore();
addEventListener("pagehide", () => controller.leave());
// A page that the browser kept and shows again has no room and no microphone any more.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
