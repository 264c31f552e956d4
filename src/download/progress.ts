const INTERVAL_MS = 3000;

/**
 * Thins out reports of progress.
 *
 * @returns a function that passes a message on at once the first time and then every few seconds
 */
export function progressReporter(
  onProgress: (message: string) => void,
  intervalMs = INTERVAL_MS,
): (message: () => string) => void {
  let next = 0;
  return (message) => {
    const now = performance.now();
    if (now < next) return;
    next = now + intervalMs;
    onProgress(message());
  };
}
