import { createLocalAudioTrack, type LocalAudioTrack } from "livekit-client";
import { INSECURE_PAGE, ProblemError } from "./problems.ts";

/** Opens the microphone, with the browser's echo and noise treatment. Asks for permission. */
export async function openMicrophone(deviceId: string): Promise<LocalAudioTrack> {
  if (navigator.mediaDevices === undefined) throw new ProblemError(INSECURE_PAGE);
  return await createLocalAudioTrack({
    echoCancellation: true,
    noiseSuppression: true,
    autoGainControl: true,
    ...(deviceId === "" ? {} : { deviceId }),
  });
}

/** The microphones by name; browsers give the names only once permission was granted. */
async function listMicrophones(): Promise<{ id: string; label: string }[]> {
  const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  return devices
    .filter((device) => device.kind === "audioinput" && device.label !== "")
    .filter((device) => device.deviceId !== "default" && device.deviceId !== "communications")
    .map((device) => ({ id: device.deviceId, label: device.label }));
}

/** Fills the select with what is there and keeps the choice if it still exists. */
export async function fillMicrophones(select: HTMLSelectElement, chosen: string): Promise<void> {
  const microphones = await listMicrophones().catch(() => []);
  if (microphones.length === 0) return;
  const options = microphones.map(({ id, label }) => new Option(label, id, false, id === chosen));
  const preset = new Option("System default", "");
  select.replaceChildren(preset, ...options);
  if (!microphones.some(({ id }) => id === chosen)) select.value = "";
}

/** Below this level (dBFS) the meter shows nothing: the noise of a quiet room. */
const FLOOR = -60;

/**
 * Shows the level of a microphone as the custom property `--level` (0 to 1) of some elements. It
 * owns an AudioContext only while it runs.
 */
export class LevelMeter {
  readonly #elements: HTMLElement[];
  #context: AudioContext | undefined;
  #frame = 0;

  constructor(elements: Iterable<HTMLElement>) {
    this.#elements = [...elements];
  }

  /** Follows `track` from now on, instead of any other. Best called inside a tap. */
  start(track: MediaStreamTrack): void {
    this.stop();
    const context = new AudioContext();
    this.#context = context;
    // Refused without a tap; it is rejected when the context closes meanwhile.
    context.resume().catch(() => undefined);
    const analyser = context.createAnalyser();
    analyser.fftSize = 1024;
    context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    let shown = 0;
    const draw = (): void => {
      analyser.getFloatTimeDomainData(samples);
      // Rises at once and falls slowly, as meters do.
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
      // Not a style attribute: scripts may set properties under the page's policy.
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
  return Math.min(1, Math.max(0, 1 - decibels / FLOOR));
}
