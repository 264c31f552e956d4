import type { EndReason, SessionState } from "../../src/domain/session.ts";
import { madeOnce } from "./made-once.ts";

const REASONS: Record<EndReason, string> = {
  stopped: "Stopped",
  user_left: "Everybody had left",
  idle: "Ended after a long silence",
  time_limit: "Reached its time limit",
  room_closed: "The room was closed",
  livekit_lost: "Lost the audio server",
  provider_failed: "A speech or language service failed",
  agent_failed: "The agent failed",
  shutdown: "Parley was shut down",
  crashed: "Broke off: Parley stopped unexpectedly",
};

/** Ends that nobody wanted; the history marks them. */
const UNWANTED: readonly EndReason[] = [
  "livekit_lost",
  "provider_failed",
  "agent_failed",
  "crashed",
];

/** Why a session ended, in plain words. */
export function endedBecause(reason: EndReason | null): string {
  return reason === null ? "Ended" : REASONS[reason];
}

export function endedBadly(reason: EndReason | null): boolean {
  return reason !== null && UNWANTED.includes(reason);
}

export function isLiveState(state: SessionState): boolean {
  return state !== "ended";
}

/** `1 line`, `3 lines`. */
export function count(number: number, one: string): string {
  return `${number} ${number === 1 ? one : `${one}s`}`;
}

/** A length of time as people say it: `45 s`, `3 min 5 s`, `1 h 12 min`. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60)
    return seconds % 60 === 0 ? `${minutes} min` : `${minutes} min ${seconds % 60} s`;
  const rest = minutes % 60;
  return rest === 0 ? `${minutes / 60} h` : `${Math.floor(minutes / 60)} h ${rest} min`;
}

/** A place in a conversation, from its beginning: `0:07`, `12:34`, `1:02:03`. */
export function offset(ms: number): string {
  const total = Math.max(0, Math.floor(ms / 1000));
  const parts = [Math.floor(total / 60) % 60, total % 60];
  const hours = Math.floor(total / 3600);
  if (hours > 0) parts.unshift(hours);
  return parts.map((part, at) => (at === 0 ? `${part}` : String(part).padStart(2, "0"))).join(":");
}

// Made when first asked for: the tables behind them take a fifth of the time to start.
const dateFormat = madeOnce(
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
const relativeFormat = madeOnce(() => new Intl.RelativeTimeFormat("en", { numeric: "auto" }));
const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
];
const WEEK = 7 * 86_400_000;

/** `24 Nov 2026, 09:03 UTC`: the server does not know the reader's time zone. */
export function dateAndTime(at: number): string {
  return `${dateFormat().format(at)} UTC`;
}

/** `12 minutes ago`; after a week the date says more. */
export function ago(at: number, now: number): string {
  const past = now - at;
  if (past >= WEEK) return dateAndTime(at);
  const [unit, length] = STEPS.find(([, ms]) => past >= ms) ?? ["second", 0];
  return length === 0 ? "just now" : relativeFormat().format(-Math.floor(past / length), unit);
}

/** A moment, relative to now, with the exact time for machines and on hover. */
export function When({ at, now }: { at: number; now: number }) {
  return (
    <time datetime={new Date(at).toISOString()} title={dateAndTime(at)}>
      {ago(at, now)}
    </time>
  );
}
