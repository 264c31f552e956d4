import { pcmFrom, wav } from "../lib/wav.ts";

/** Mono, in Hz. With it, the longest recording stays below the limit of a request. */
const RATE = 16_000;
const RECORD_MS = 4000;

/** What the person reads while a test runs. */
const RUNNING = "Testing…";

for (const test of document.querySelectorAll<HTMLElement>("[data-test]")) {
  test.addEventListener("htmx:before:request", () => show(test, RUNNING));
  test.addEventListener("htmx:finally:request", () => show(test, ""));
}

const test = document.querySelector<HTMLElement>('[data-test="stt"]');
// Before htmx sees it. Without this script the test is sent without a recording.
test?.addEventListener(
  "click",
  (event) => {
    const button = test.querySelector("button");
    if (!button?.contains(event.target as Node)) return;
    event.stopPropagation();
    void testRecognition(test, button);
  },
  { capture: true },
);

/** Records a sentence and shows what speech recognition makes of it. */
async function testRecognition(test: HTMLElement, button: HTMLButtonElement): Promise<void> {
  const result = test.querySelector("[aria-live]");
  button.disabled = true;
  result?.replaceChildren();
  try {
    show(test, "Listening for four seconds. Say something.");
    const body = new FormData();
    const recording = await record().catch(() => undefined);
    if (recording) body.set("audio", recording);
    show(test, recording ? RUNNING : "There is no microphone, so the voice says a sentence.");
    const headers = { "HX-Request": "true" };
    const url = button.getAttribute("hx-post") ?? "";
    const response = await fetch(url, { method: "POST", body, headers });
    // Parley's own fragment, in which everything from elsewhere is text.
    if (result) result.innerHTML = await response.text();
    show(test, "");
  } catch {
    show(test, "Parley did not answer. Check that it is running.");
  } finally {
    button.disabled = false;
  }
}

function show(test: HTMLElement, text: string): void {
  const progress = test.querySelector("[role=status]");
  if (progress) progress.textContent = text;
}

/** A recording from the microphone as a WAV file. @throws when there is none, or it is blocked */
async function record(): Promise<File> {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  try {
    const recorder = new MediaRecorder(stream);
    const parts: Blob[] = [];
    const stopped = Promise.withResolvers<void>();
    recorder.ondataavailable = ({ data }) => parts.push(data);
    recorder.onstop = () => stopped.resolve();
    recorder.start();
    setTimeout(() => recorder.stop(), RECORD_MS);
    await stopped.promise;
    const bytes = await new Blob(parts).arrayBuffer();
    // Decoding resamples to the rate of the context.
    const audio = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(bytes);
    return new File([wav(pcmFrom(audio.getChannelData(0)), RATE)], "audio.wav");
  } finally {
    for (const track of stream.getTracks()) track.stop();
  }
}
