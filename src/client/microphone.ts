import { createLocalAudioTrack, type LocalAudioTrack } from "livekit-client";
import { INSECURE_PAGE, ProblemError, problemOf } from "./problems.ts";
import { preference, setPreference } from "./setup-form.ts";

export interface MicrophoneElements {
  select: HTMLSelectElement;
  test: HTMLButtonElement;
  hint: HTMLElement;
  /** Elements that show the level, as their custom property `--level`. */
  meters: Iterable<HTMLElement>;
}

/**
 * Lets the person choose the microphone, see its level and test it before a conversation. Muting
 * and switching it during a conversation are done by the `Controller`.
 */
export class MicrophonePicker {
  readonly #elements: MicrophoneElements;
  readonly #meter: LevelMeter;
  #testTrack: LocalAudioTrack | undefined;
  #chosen = preference("microphone") ?? "";
  #opening = false;

  /** @param onSwitch called with the device chosen when no test is running */
  constructor(elements: MicrophoneElements, onSwitch: (deviceId: string) => Promise<void>) {
    const { select, test, meters } = elements;
    this.#elements = elements;
    this.#meter = new LevelMeter(meters);
    test.addEventListener("click", () => void this.#toggleTest());
    select.addEventListener("change", () => {
      this.#chosen = select.value;
      setPreference("microphone", this.#chosen);
      if (this.#testTrack) void this.#startTest();
      else void onSwitch(this.#chosen);
    });
    navigator.mediaDevices?.addEventListener("devicechange", () => void this.#fill());
    void this.#fill();
  }

  /** Opens the chosen microphone for a conversation. */
  async open(): Promise<LocalAudioTrack> {
    this.#stopTest();
    const track = await openMicrophone(this.#chosen);
    void this.#fill();
    return track;
  }

  /** Shows the level of the conversation's microphone; `undefined` once it was released. */
  showInUse(track: LocalAudioTrack | undefined): void {
    this.#elements.test.disabled = track !== undefined;
    if (track) this.#meter.start(track.mediaStreamTrack);
    else this.#meter.stop();
  }

  async #fill(): Promise<void> {
    await fillMicrophones(this.#elements.select, this.#chosen);
  }

  async #toggleTest(): Promise<void> {
    if (this.#testTrack) this.#stopTest();
    else await this.#startTest();
  }

  async #startTest(): Promise<void> {
    // One permission prompt at a time.
    if (this.#opening) return;
    this.#opening = true;
    this.#stopTest();
    try {
      const track = await openMicrophone(this.#chosen);
      // A conversation may have started while the prompt was open; it has its own track.
      if (this.#elements.test.disabled) return track.stop();
      this.#testTrack = track;
      this.#meter.start(track.mediaStreamTrack);
      this.#elements.test.textContent = "Stop test";
      this.#showHint("Say something: the bar should move.");
      void this.#fill();
    } catch (cause) {
      const { title, detail } = problemOf("microphone", cause);
      this.#showHint(`${title}. ${detail}`);
    } finally {
      this.#opening = false;
    }
  }

  #stopTest(): void {
    this.#showHint("");
    this.#testTrack?.stop();
    if (this.#testTrack) this.#meter.stop();
    this.#testTrack = undefined;
    this.#elements.test.textContent = "Test";
  }

  #showHint(text: string): void {
    this.#elements.hint.textContent = text;
    this.#elements.hint.hidden = text === "";
  }
}

/** Opens the microphone with the browser's echo and noise treatment. Asks for permission. */
async function openMicrophone(deviceId: string): Promise<LocalAudioTrack> {
  if (navigator.mediaDevices === undefined) throw new ProblemError(INSECURE_PAGE);
  return await createLocalAudioTrack({
    echoCancellation: true,
    noiseSuppression: true,
    autoGainControl: true,
    ...(deviceId === "" ? {} : { deviceId }),
  });
}

/** The microphones by name. Browsers reveal the names only once permission was granted. */
async function listMicrophones(): Promise<{ id: string; label: string }[]> {
  const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  return devices
    .filter((device) => device.kind === "audioinput" && device.label !== "")
    .filter((device) => device.deviceId !== "default" && device.deviceId !== "communications")
    .map((device) => ({ id: device.deviceId, label: device.label }));
}

/** Fills the select with the microphones and keeps the choice if it still exists. */
async function fillMicrophones(select: HTMLSelectElement, chosen: string): Promise<void> {
  const microphones = await listMicrophones().catch(() => []);
  if (microphones.length === 0) return;
  const options = microphones.map(({ id, label }) => new Option(label, id, false, id === chosen));
  const preset = new Option("System default", "");
  select.replaceChildren(preset, ...options);
  if (!microphones.some(({ id }) => id === chosen)) select.value = "";
}

/** The noise of a quiet room: at or below this level the meter shows nothing. */
const FLOOR_DBFS = -60;

/**
 * Shows the level of a microphone as the custom property `--level` (0 to 1) of some elements. It
 * holds an AudioContext only while it runs.
 */
class LevelMeter {
  readonly #elements: HTMLElement[];
  #context: AudioContext | undefined;
  #frame = 0;

  constructor(elements: Iterable<HTMLElement>) {
    this.#elements = [...elements];
  }

  /** Follows `track` from now on, instead of any other. Best called inside a click. */
  start(track: MediaStreamTrack): void {
    this.stop();
    const context = new AudioContext();
    this.#context = context;
    // Refused without a click; rejected if the context closes meanwhile.
    context.resume().catch(() => undefined);
    const analyser = context.createAnalyser();
    analyser.fftSize = 1024;
    context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    let shown = 0;
    const draw = (): void => {
      analyser.getFloatTimeDomainData(samples);
      // Rises at once and falls slowly, as level meters do.
      shown = Math.max(levelOf(samples), shown * 0.88);
      this.#show(shown, true);
      this.#frame = requestAnimationFrame(draw);
    };
    draw();
  }

  stop(): void {
    cancelAnimationFrame(this.#frame);
    void this.#context?.close();
    this.#context = undefined;
    this.#show(0, false);
  }

  #show(level: number, active: boolean): void {
    for (const element of this.#elements) {
      // The page's policy forbids style attributes, but lets scripts set properties.
      element.style.setProperty("--level", level.toFixed(3));
      element.dataset["active"] = String(active);
    }
  }
}

/** Loudness of the samples on a scale from 0 (the floor) to 1 (full scale), linear in decibels. */
export function levelOf(samples: Float32Array): number {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  if (sum === 0) return 0;
  const decibels = 10 * Math.log10(sum / samples.length);
  return Math.min(1, Math.max(0, 1 - decibels / FLOOR_DBFS));
}
