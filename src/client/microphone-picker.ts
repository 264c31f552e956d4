import type { LocalAudioTrack } from "livekit-client";
import { byId } from "./elements.ts";
import { preference, setPreference } from "./memory.ts";
import { fillMicrophones, LevelMeter, openMicrophone } from "./microphone.ts";
import { problemOf } from "./problems.ts";

/** The choice of the microphone, its level, and a way to try it before a conversation. */
export class MicrophonePicker {
  readonly #select = byId("microphone", HTMLSelectElement);
  readonly #test = byId("test-microphone", HTMLButtonElement);
  readonly #hint = byId("microphone-hint", HTMLElement);
  readonly #meter = new LevelMeter(document.querySelectorAll<HTMLElement>("[data-level]"));
  #trial: LocalAudioTrack | undefined;
  #chosen = preference("microphone") ?? "";
  #busy = false;

  /** `onSwitch` goes on with another microphone while one is in use. */
  constructor(onSwitch: (deviceId: string) => Promise<void>) {
    this.#test.addEventListener("click", () => void this.#toggleTrial());
    this.#select.addEventListener("change", () => {
      this.#chosen = this.#select.value;
      setPreference("microphone", this.#chosen);
      if (this.#trial) void this.#startTrial();
      else void onSwitch(this.#chosen);
    });
    navigator.mediaDevices?.addEventListener("devicechange", () => void this.#fill());
    void this.#fill();
  }

  /** Opens the chosen microphone for a conversation. */
  async open(): Promise<LocalAudioTrack> {
    this.#endTrial();
    const track = await openMicrophone(this.#chosen);
    void this.#fill();
    return track;
  }

  /** Shows the level of the conversation's microphone; undefined once it was let go of. */
  inUse(track: LocalAudioTrack | undefined): void {
    this.#test.disabled = track !== undefined;
    if (track) this.#meter.start(track.mediaStreamTrack);
    else this.#meter.stop();
  }

  async #fill(): Promise<void> {
    await fillMicrophones(this.#select, this.#chosen);
  }

  async #toggleTrial(): Promise<void> {
    if (this.#trial) this.#endTrial();
    else await this.#startTrial();
  }

  async #startTrial(): Promise<void> {
    // One permission prompt at a time.
    if (this.#busy) return;
    this.#busy = true;
    this.#endTrial();
    try {
      const track = await openMicrophone(this.#chosen);
      // A conversation may have begun while the prompt was open; it has its own.
      if (this.#test.disabled) return track.stop();
      this.#trial = track;
      this.#meter.start(track.mediaStreamTrack);
      this.#test.textContent = "Stop test";
      this.#say("Say something: the bar should move.");
      void this.#fill();
    } catch (cause) {
      const { title, detail } = problemOf("microphone", cause);
      this.#say(`${title}. ${detail}`);
    } finally {
      this.#busy = false;
    }
  }

  #endTrial(): void {
    this.#say("");
    this.#trial?.stop();
    if (this.#trial) this.#meter.stop();
    this.#trial = undefined;
    this.#test.textContent = "Test";
  }

  #say(text: string): void {
    this.#hint.textContent = text;
    this.#hint.hidden = text === "";
  }
}
