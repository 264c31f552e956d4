/** Time from one feature frame to the next, in ms. */
export const HOP_MS = 16;

/** Numbers in a feature frame: 12 cepstra and the level. */
export const DIMENSIONS = 13;

const CEPSTRA = 12;
const WINDOW_MS = 25;
const BANDS = 24;
/** Speech that Opus and a browser's voice processing leave alone, in Hz. */
const LOWEST = 150;
const HIGHEST = 6500;
/** What lies this far under the loudest frame so far counts as silence, in dB. */
const RANGE_DB = 40;
/** Peak assumed before any speech came, so that noise before it does not look like speech (dBFS). */
const QUIETEST_PEAK_DB = -35;
/** How fast a peak is forgotten, in dB a second: a browser turns the gain down after a loud start. */
const PEAK_DECAY_DB = 2;
const PEAK_DECAY = 10 ** ((-PEAK_DECAY_DB * HOP_MS) / 10_000);
const QUIETEST_PEAK = 10 ** (QUIETEST_PEAK_DB / 10);
const LIFTER = 22;
/** Brings a typical difference between two unlike speech sounds to about 1. */
const CEPSTRUM_SCALE = 1 / 45;
const LEVEL_WEIGHT = 0.5;

/**
 * Turns mono PCM into frames that tell how speech sounds, whatever its loudness: mel-frequency
 * cepstra 1 to 12, liftered, plus the level relative to the loudest frame so far (S. Davis,
 * P. Mermelstein, "Comparison of Parametric Representations for Monosyllabic Word Recognition",
 * IEEE Trans. ASSP 28(4), 1980; lifter of Juang, Rabiner, Wilpon, 1987). Each band has a floor
 * `RANGE_DB` under the peak, so that silence and faint noise give the same frame: all zero.
 * Streaming: the same samples give the same frames however they are cut into pushes.
 */
export class FeatureStream {
  readonly #window: Float64Array;
  readonly #hop: number;
  readonly #fft: Fft;
  readonly #filters: Filter[];
  readonly #cosines: Float64Array[];
  readonly #power = new Float64Array(BANDS);
  #pending = new Int16Array();
  /** Samples before `#pending`, and frames made: a hop need not be a whole number of samples. */
  #dropped = 0;
  #count = 0;
  #peak = QUIETEST_PEAK;

  /** @param rate sample rate in Hz of what will be pushed, 16,000 or more */
  constructor(rate: number) {
    const size = Math.round((rate * WINDOW_MS) / 1000);
    this.#hop = (rate * HOP_MS) / 1000;
    this.#window = hann(size);
    this.#fft = new Fft(2 ** Math.ceil(Math.log2(size)));
    this.#filters = melFilters(this.#fft.size, rate);
    this.#cosines = liftedCosines();
  }

  /** @returns the frames that these samples complete, `DIMENSIONS` numbers each */
  push(pcm: Int16Array): Float32Array[] {
    const all = new Int16Array(this.#pending.length + pcm.length);
    all.set(this.#pending);
    all.set(pcm, this.#pending.length);
    const frames: Float32Array[] = [];
    let at = Math.round(this.#count * this.#hop) - this.#dropped;
    while (at + this.#window.length <= all.length) {
      frames.push(this.#frame(all.subarray(at, at + this.#window.length)));
      this.#count++;
      at = Math.round(this.#count * this.#hop) - this.#dropped;
    }
    this.#pending = all.slice(at);
    this.#dropped += Math.min(at, all.length);
    return frames;
  }

  #frame(pcm: Int16Array): Float32Array {
    const total = this.#bandPowers(pcm);
    this.#peak = Math.max(this.#peak * PEAK_DECAY, QUIETEST_PEAK, total);
    const range = 10 ** (-RANGE_DB / 10);
    const floor = (this.#peak / BANDS) * range;
    for (let b = 0; b < BANDS; b++) this.#power[b] = Math.log((this.#power[b] ?? 0) + floor);
    const frame = new Float32Array(DIMENSIONS);
    for (let c = 0; c < CEPSTRA; c++) {
      const cosine = this.#cosines[c];
      let sum = 0;
      for (let b = 0; b < BANDS; b++) sum += (cosine?.[b] ?? 0) * (this.#power[b] ?? 0);
      frame[c] = sum;
    }
    const levelDb = 10 * Math.log10(total / this.#peak + range);
    frame[CEPSTRA] = LEVEL_WEIGHT * (1 + levelDb / RANGE_DB);
    return frame;
  }

  /** Fills `#power` and gives the sum, where a full-scale sine is about 1. */
  #bandPowers(pcm: Int16Array): number {
    const spectrum = this.#fft.powers(pcm, this.#window);
    let total = 0;
    for (let b = 0; b < BANDS; b++) {
      const filter = this.#filters[b];
      let sum = 0;
      if (filter === undefined) continue;
      const { weights, first } = filter;
      for (let k = 0; k < weights.length; k++)
        sum += (weights[k] ?? 0) * (spectrum[first + k] ?? 0);
      this.#power[b] = sum;
      total += sum;
    }
    return total;
  }
}

/** The features of a whole recording; `pcm` mono at `rate` Hz. */
export function features(pcm: Int16Array, rate: number): Float32Array[] {
  return new FeatureStream(rate).push(pcm);
}

function hann(size: number): Float64Array {
  const window = new Float64Array(size);
  for (let i = 0; i < size; i++) window[i] = 0.5 - 0.5 * Math.cos((2 * Math.PI * (i + 0.5)) / size);
  return window;
}

function mel(hertz: number): number {
  return 2595 * Math.log10(1 + hertz / 700);
}

/** A triangular band: weights of the bins from `first` on. */
interface Filter {
  first: number;
  weights: Float64Array;
}

function melFilters(size: number, rate: number): Filter[] {
  const step = (mel(HIGHEST) - mel(LOWEST)) / (BANDS + 1);
  const filters: Filter[] = [];
  for (let b = 0; b < BANDS; b++) {
    const centre = mel(LOWEST) + (b + 1) * step;
    const weights: number[] = [];
    let first = 0;
    for (let k = 0; k < size / 2; k++) {
      const weight = 1 - Math.abs(mel((k * rate) / size) - centre) / step;
      if (weight <= 0) continue;
      if (weights.length === 0) first = k;
      weights.push(weight);
    }
    filters.push({ first, weights: Float64Array.from(weights) });
  }
  return filters;
}

/** Rows of the DCT-II that turns log band powers into cepstra, each with its lifter and scale. */
function liftedCosines(): Float64Array[] {
  const rows: Float64Array[] = [];
  for (let c = 1; c <= CEPSTRA; c++) {
    const lifter = 1 + (LIFTER / 2) * Math.sin((Math.PI * c) / LIFTER);
    const row = new Float64Array(BANDS);
    for (let b = 0; b < BANDS; b++) {
      const cosine = Math.cos((Math.PI * c * (b + 0.5)) / BANDS);
      row[b] = (cosine * lifter * CEPSTRUM_SCALE * Math.sqrt(2 / BANDS)) / 2;
    }
    rows.push(row);
  }
  return rows;
}

/** Radix-2 FFT (Cooley, Tukey 1965) of one fixed size with its tables made once. */
class Fft {
  readonly #real: Float64Array;
  readonly #imaginary: Float64Array;
  readonly #cosine: Float64Array;
  readonly #sine: Float64Array;
  readonly #reversed: Uint32Array;
  readonly #powers: Float64Array;

  constructor(readonly size: number) {
    this.#real = new Float64Array(size);
    this.#imaginary = new Float64Array(size);
    this.#powers = new Float64Array(size / 2);
    this.#cosine = new Float64Array(size / 2);
    this.#sine = new Float64Array(size / 2);
    this.#reversed = new Uint32Array(size);
    for (let i = 0; i < size / 2; i++) {
      this.#cosine[i] = Math.cos((2 * Math.PI * i) / size);
      this.#sine[i] = -Math.sin((2 * Math.PI * i) / size);
    }
    for (let i = 1; i < size; i++) {
      this.#reversed[i] = ((this.#reversed[i >> 1] ?? 0) >> 1) | (i & 1 ? size / 2 : 0);
    }
  }

  /** Power of each bin up to Nyquist; the array is used again by the next call. */
  powers(pcm: Int16Array, window: Float64Array): Float64Array {
    // A Hann window halves the amplitude, and the power of a sine is spread over two halves.
    const scale = 4 / (32_768 * window.length);
    for (let i = 0; i < this.size; i++) {
      const to = this.#reversed[i] ?? 0;
      this.#real[to] = i < pcm.length ? (pcm[i] ?? 0) * (window[i] ?? 0) * scale : 0;
      this.#imaginary[to] = 0;
    }
    for (let half = 1; half < this.size; half *= 2) this.#butterflies(half);
    for (let k = 0; k < this.#powers.length; k++) {
      this.#powers[k] = (this.#real[k] ?? 0) ** 2 + (this.#imaginary[k] ?? 0) ** 2;
    }
    return this.#powers;
  }

  #butterflies(half: number): void {
    const real = this.#real;
    const imaginary = this.#imaginary;
    const stride = this.size / (half * 2);
    for (let start = 0; start < this.size; start += half * 2) {
      for (let j = 0; j < half; j++) {
        const c = this.#cosine[j * stride] ?? 0;
        const s = this.#sine[j * stride] ?? 0;
        const a = start + j;
        const b = a + half;
        const re = (real[b] ?? 0) * c - (imaginary[b] ?? 0) * s;
        const im = (real[b] ?? 0) * s + (imaginary[b] ?? 0) * c;
        real[b] = (real[a] ?? 0) - re;
        imaginary[b] = (imaginary[a] ?? 0) - im;
        real[a] = (real[a] ?? 0) + re;
        imaginary[a] = (imaginary[a] ?? 0) + im;
      }
    }
  }
}
