/** @jsxImportSource hono/jsx */
import type { EndReason, SessionState } from "../../src/domain/session.ts";
import { onceSync } from "../../src/lib/lazy.ts";

const END_REASONS: Record<EndReason, string> = {
  stopped: "Stopped",
  user_left: "Everyone left",
  idle: "Ended after a long silence",
  time_limit: "Reached the time limit",
  room_closed: "The room was closed",
  livekit_lost: "Lost the connection to the audio server",
  room_taken: "Another Parley took the room",
  provider_failed: "A speech or language service failed",
  agent_failed: "The agent failed",
  shutdown: "Parley was shut down",
  crashed: "Interrupted: Parley stopped unexpectedly",
};

/** Ends that the history marks as failures. */
const FAILURES: readonly EndReason[] = [
  "livekit_lost",
  "room_taken",
  "provider_failed",
  "agent_failed",
  "crashed",
];

/** Why a session ended. */
export function endReasonText(reason: EndReason | null): string {
  return reason === null ? "Ended" : END_REASONS[reason];
}

export function isFailure(reason: EndReason | null): boolean {
  return reason !== null && FAILURES.includes(reason);
}

export function isLive(state: SessionState): boolean {
  return state !== "ended";
}

/** `1 line`, `3 lines`. */
export function plural(number: number, singular: string): string {
  return `${number} ${number === 1 ? singular : `${singular}s`}`;
}

/** A length of time: `45 s`, `3 min 5 s`, `1 h 12 min`. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60)
    return seconds % 60 === 0 ? `${minutes} min` : `${minutes} min ${seconds % 60} s`;
  const rest = minutes % 60;
  return rest === 0 ? `${minutes / 60} h` : `${Math.floor(minutes / 60)} h ${rest} min`;
}

// Loading the locale data of these takes a fifth of the time that Parley needs to start.
const dateFormat = onceSync(
  () =>
    new Intl.DateTimeFormat("en-GB", {
      day: "numeric",
      month: "short",
      year: "numeric",
      hour: "2-digit",
      minute: "2-digit",
      timeZone: "UTC",
    }),
);
const relativeFormat = onceSync(() => new Intl.RelativeTimeFormat("en", { numeric: "auto" }));
const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
];
const WEEK_MS = 7 * 86_400_000;

/** `24 Nov 2026, 09:03 UTC`: the server does not know the reader's time zone. */
export function dateAndTime(at: number): string {
  return `${dateFormat().format(at)} UTC`;
}

/** `12 minutes ago`; the date once a week has passed. */
export function ago(at: number, now: number): string {
  const past = now - at;
  if (past >= WEEK_MS) return dateAndTime(at);
  const [unit, length] = UNITS.find(([, ms]) => past >= ms) ?? ["second", 0];
  return length === 0 ? "just now" : relativeFormat().format(-Math.floor(past / length), unit);
}

/** A moment relative to now, with the exact time for programs and as a tooltip. */
export function RelativeTime({ at, now }: { at: number; now: number }) {
  return (
    <time datetime={new Date(at).toISOString()} title={dateAndTime(at)}>
      {ago(at, now)}
    </time>
  );
}
