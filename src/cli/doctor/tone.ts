/** Of the tone, in Hz. */
export const RATE = 24_000;
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
