import { ReadableStream } from "node:stream/web";
import type { voice } from "@livekit/agents";
import { AudioFrame } from "@livekit/rtc-node";

const RATE = 24_000;
/** 20 ms, as the voice's frames. */
const FRAME_SAMPLES = RATE / 50;
/** A falling third, in Hz: it sounds like "no" and like nothing that a voice says. */
const TONES = [523, 415];
const TONE_MS = 175;
/** −20 dBFS: clear beside a voice, and soft in headphones. */
const PEAK = 0.1;
/** Each tone fades in over this time and out over all the rest, so that nothing clicks. */
const ATTACK_MS = 15;

/**
 * Tells somebody who does not look at the page that a turn has failed: two soft falling tones. They
 * wait for what the agent is saying and until the person is silent. They are no part of the
 * conversation, and do not count as an answer.
 */
export class FailureSound {
  readonly #session: voice.AgentSession;
  #isPlaying = false;

  constructor(session: voice.AgentSession) {
    this.#session = session;
  }

  /** Whether what the agent "says" now is this sound. */
  get isPlaying(): boolean {
    return this.#isPlaying;
  }

  /** @throws Error when the session is not running */
  play(): void {
    const audio = new ReadableStream<AudioFrame>(
      {
        // The first frame is asked for when it is the sound's turn.
        pull: (controller) => {
          this.#isPlaying = true;
          for (const frame of frames()) controller.enqueue(frame);
          controller.close();
        },
      },
      { highWaterMark: 0 },
    );
    const speech = this.#session.say("", { audio, addToChatCtx: false, allowInterruptions: true });
    speech.addDoneCallback(() => {
      this.#isPlaying = false;
    });
  }
}

function frames(): AudioFrame[] {
  const samples = failureSamples();
  return Array.from({ length: samples.length / FRAME_SAMPLES }, (_, index) => {
    const part = samples.slice(index * FRAME_SAMPLES, (index + 1) * FRAME_SAMPLES);
    return new AudioFrame(part, RATE, 1, FRAME_SAMPLES);
  });
}

/** The sound: mono, 24 kHz, whole frames of 20 ms. */
export function failureSamples(): Int16Array {
  const toneSamples = (RATE * TONE_MS) / 1000;
  const whole = Math.ceil((TONES.length * toneSamples) / FRAME_SAMPLES) * FRAME_SAMPLES;
  const samples = new Int16Array(whole);
  for (const [index, pitch] of TONES.entries()) {
    for (let at = 0; at < toneSamples; at++) {
      const ms = (at / RATE) * 1000;
      const attack = Math.min(1, ms / ATTACK_MS);
      const decay = (1 - ms / TONE_MS) ** 2;
      const wave = Math.sin((2 * Math.PI * pitch * at) / RATE);
      samples[index * toneSamples + at] = Math.round(32_767 * PEAK * attack * decay * wave);
    }
  }
  return samples;
}
