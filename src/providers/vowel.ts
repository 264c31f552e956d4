/** Rate of `vowel`, in Hz. */
export const VOWEL_RATE = 24_000;
const SECONDS = 0.5;
const PITCH_HZ = 130;
/** The resonances of an open vowel. */
const FORMANTS_HZ = [700, 1200, 2600];

/** Half a second of a vowel, mono: a sound that a recogniser accepts as speech. */
export function vowel(): Int16Array<ArrayBuffer> {
  const samples = new Int16Array(VOWEL_RATE * SECONDS);
  for (let at = 0; at < samples.length; at++) {
    const time = at / VOWEL_RATE;
    let value = 0;
    for (let harmonic = PITCH_HZ; harmonic < 4000; harmonic += PITCH_HZ) {
      const gain = FORMANTS_HZ.reduce((sum, f) => sum + 1 / (1 + ((harmonic - f) / 120) ** 2), 0);
      value += gain * Math.sin(2 * Math.PI * harmonic * time);
    }
    samples[at] = 1500 * value * Math.sin((Math.PI * at) / samples.length);
  }
  return samples;
}
