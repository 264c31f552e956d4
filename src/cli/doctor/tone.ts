const RATE = 24_000;
const SECONDS = 0.5;
const PITCH = 130;
/** Resonances of an open vowel, Hz. */
const FORMANTS = [700, 1200, 2600];

/** Half a second of a vowel, 24 kHz mono: something that a recogniser accepts as speech. */
export function vowel(): Int16Array<ArrayBuffer> {
  const samples = new Int16Array(RATE * SECONDS);
  for (let at = 0; at < samples.length; at++) {
    const time = at / RATE;
    let value = 0;
    for (let harmonic = PITCH; harmonic < 4000; harmonic += PITCH) {
      const gain = FORMANTS.reduce((sum, f) => sum + 1 / (1 + ((harmonic - f) / 120) ** 2), 0);
      value += gain * Math.sin(2 * Math.PI * harmonic * time);
    }
    samples[at] = 1500 * value * Math.sin((Math.PI * at) / samples.length);
  }
  return samples;
}

/** The samples as a WAV file. */
export function wav(samples: Int16Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(44 + samples.byteLength);
  const view = new DataView(bytes.buffer);
  const text = (at: number, value: string) => bytes.set(new TextEncoder().encode(value), at);
  text(0, "RIFF");
  view.setUint32(4, 36 + samples.byteLength, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, RATE, true);
  view.setUint32(28, RATE * 2, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, samples.byteLength, true);
  bytes.set(new Uint8Array(samples.buffer), 44);
  return bytes;
}
