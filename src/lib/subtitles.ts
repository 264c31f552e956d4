/** `HH:MM:SS`; from 100 hours on, the hours have more digits. */
export function clock(ms: number): string {
  const twoDigits = (value: number) => String(Math.floor(value)).padStart(2, "0");
  const parts = [ms / 3_600_000, (ms / 60_000) % 60, (ms / 1000) % 60];
  return parts.map(twoDigits).join(":");
}

/** The clock with milliseconds, as WebVTT (`.`) and SubRip (`,`) write times. */
export function subtitleTime(ms: number, separator: "." | ","): string {
  return `${clock(ms)}${separator}${String(ms % 1000).padStart(3, "0")}`;
}

/** A text in WebVTT (https://www.w3.org/TR/webvtt1/), where an arrow would be taken for times. */
export function webVttText(text: string): string {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}
