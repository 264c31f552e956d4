import { messageOf } from "../errors.ts";

const STALL_MS = 30_000;

export interface Watchdog extends Disposable {
  signal: AbortSignal;
  caller: AbortSignal | undefined;
  /** To be called whenever something arrives. */
  alive(): void;
  /** What to tell about an error: the silence that caused it, or its own text. */
  reason(error: unknown): string;
}

/** Aborts what uses its signal when nothing arrives for too long, or when the caller does. */
export function watchdog(options: {
  signal?: AbortSignal | undefined;
  stallMs?: number | undefined;
}): Watchdog {
  const { signal: caller, stallMs = STALL_MS } = options;
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(), stallMs);
  return {
    caller,
    signal: caller ? AbortSignal.any([caller, silence.signal]) : silence.signal,
    alive: () => void timer.refresh(),
    reason: (error) =>
      silence.signal.aborted ? `nothing came for ${stallMs / 1000} s` : messageOf(error),
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}
