const INTERVAL_MS = 3000;

/** @returns a function that reports the first message at once, and then at most one per interval */
export function throttled(
  report: (message: string) => void,
  intervalMs = INTERVAL_MS,
): (message: () => string) => void {
  let nextAt = 0;
  return (message) => {
    const now = performance.now();
    if (now < nextAt) return;
    nextAt = now + intervalMs;
    report(message());
  };
}
