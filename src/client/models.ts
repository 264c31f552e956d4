import { pcmFrom, wav } from "../lib/wav.ts";

/** Mono, in Hz. With it, the longest recording stays below the limit of a request. */
const RATE = 16_000;
const RECORD_MS = 4000;

const form = document.querySelector<HTMLFormElement>('form[data-test="stt"]');
const progress = form?.querySelector<HTMLElement>("[role=status]");
const result = form?.querySelector<HTMLElement>("[aria-live]");

// Before htmx sees it. Without this script the form is sent without a recording.
document.addEventListener(
  "submit",
  (event) => {
    if (!form || event.target !== form) return;
    event.preventDefault();
    event.stopPropagation();
    void testRecognition(form);
  },
  { capture: true },
);

/** Records a sentence and shows what speech recognition makes of it. */
async function testRecognition(form: HTMLFormElement): Promise<void> {
  const button = form.querySelector("button");
  if (button?.disabled) return;
  if (button) button.disabled = true;
  result?.replaceChildren();
  try {
    show("Listening for four seconds. Say something.");
    const body = new FormData();
    const recording = await record().catch(() => undefined);
    if (recording) body.set("audio", recording);
    show(recording ? "Recognising…" : "There is no microphone, so the voice says a sentence.");
    const headers = { "HX-Request": "true" };
    const response = await fetch(form.action, { method: "POST", body, headers });
    // Parley's own fragment, in which everything from elsewhere is text.
    if (result) result.innerHTML = await response.text();
    show("");
  } catch {
    show("Parley did not answer. Check that it is running.");
  } finally {
    if (button) button.disabled = false;
  }
}

function show(text: string): void {
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
