/** The VAD's probability above which one of its windows counts as speech. */
export const VOICED = 0.5;
/** A window of silero's VAD, in ms: 512 samples at 16 kHz. */
export const VOICED_WINDOW_MS = 32;
