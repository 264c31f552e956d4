/** Half the length of the interpolation kernel, in samples of the slower of the two rates. */
const HALF_TAPS = 16;

/**
 * Resamples mono PCM with a windowed sinc, low-passed at the lower of the two Nyquist
 * frequencies (J. O. Smith, "Digital Audio Resampling", https://ccrma.stanford.edu/~jos/resample/;
 * Hann window).
 *
 * @param pcm samples at `from` Hz
 * @returns samples at `to` Hz, `pcm` itself when the rates are equal
 */
export function resample(pcm: Int16Array, from: number, to: number): Int16Array {
  if (from === to) return pcm;
  const cutoff = Math.min(1, to / from);
  const half = HALF_TAPS / cutoff;
  const out = new Int16Array(Math.floor((pcm.length * to) / from));
  const kernel = kernelTable(cutoff, half);
  for (let i = 0; i < out.length; i++) {
    const centre = (i * from) / to;
    const first = Math.max(0, Math.ceil(centre - half));
    const last = Math.min(pcm.length - 1, Math.floor(centre + half));
    let sum = 0;
    for (let k = first; k <= last; k++) {
      const at = Math.abs(centre - k) * TABLE_STEPS;
      sum += (pcm[k] ?? 0) * (kernel[Math.round(at)] ?? 0);
    }
    out[i] = Math.max(-32_768, Math.min(32_767, Math.round(sum)));
  }
  return out;
}

/** Kernel values per sample of distance; 512 keeps the rounding error below 16-bit noise. */
const TABLE_STEPS = 512;

function kernelTable(cutoff: number, half: number): Float64Array {
  const table = new Float64Array(Math.ceil(half * TABLE_STEPS) + 2);
  for (let i = 0; i < table.length; i++) {
    const x = i / TABLE_STEPS;
    if (x >= half) continue;
    const sinc = x === 0 ? 1 : Math.sin(Math.PI * cutoff * x) / (Math.PI * cutoff * x);
    table[i] = cutoff * sinc * (0.5 + 0.5 * Math.cos((Math.PI * x) / half));
  }
  return table;
}
