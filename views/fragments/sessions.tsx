/** @jsxImportSource hono/jsx */
import { languageName } from "../../src/domain/language.ts";
import type { Session } from "../../src/domain/session.ts";
import type { SessionPage } from "../../src/domain/stores.ts";
import { ErrorSlot, showErrorsIn } from "./htmx.tsx";
import { duration, endReasonText, isFailure, isLive, plural, RelativeTime } from "./words.tsx";

/** A session with the counts that lists show. */
export type ListedSession = SessionPage["sessions"][number];

/** One conversation in the history. A live one refreshes itself every few seconds. */
export function SessionRow({ session, now }: { session: ListedSession; now: number }) {
  const live = isLive(session.state);
  const language = session.language ?? session.heard_language;
  const url = `/history/${session.id}`;
  const polling = live
    ? { "hx-get": `${url}/row`, "hx-trigger": "every 3s", "hx-swap": "outerHTML" }
    : {};
  return (
    <li
      class="session row between"
      id={`session-${session.id}`}
      data-session-id={session.id}
      data-live={String(live)}
      {...polling}
    >
      <a class="session-link" id={`session-link-${session.id}`} href={url}>
        <bdi>{session.room}</bdi>
      </a>
      <SessionState session={session} />
      <p class="dotted">
        <span>
          <Participant session={session} />
        </span>
        <RelativeTime at={session.started_at} now={now} />
        <span>{duration((session.ended_at ?? now) - session.started_at)}</span>
        <span>{plural(session.segments, "line")}</span>
        {language === null ? null : <span>{languageName(language)}</span>}
      </p>
    </li>
  );
}

/** The participant's name if they gave one, else their identity. */
export function Participant({ session }: { session: Session }) {
  return <bdi>{session.name ?? session.identity ?? "Unknown participant"}</bdi>;
}

/** Whether a conversation is live, or why it ended. */
export function SessionState({ session }: { session: Session }) {
  if (isLive(session.state)) return <LiveMark>Live</LiveMark>;
  const failed = isFailure(session.end_reason);
  return (
    <span class={failed ? "small danger" : "small muted"}>{endReasonText(session.end_reason)}</span>
  );
}

/** A coloured dot, and what is live. */
export function LiveMark({ children }: { children: string }) {
  return (
    <span class="status row small" data-state="live">
      <span class="dot" aria-hidden="true"></span>
      {children}
    </span>
  );
}

/** One page of rows, and a link to the older ones, which HTMX follows in place. */
export function SessionRows({ page, now }: { page: SessionPage; now: number }) {
  const next = page.next === null ? null : `/history?before=${encodeURIComponent(page.next)}`;
  return (
    <>
      {page.sessions.map((session) => (
        <SessionRow session={session} now={now} />
      ))}
      {next === null ? null : (
        <li class="stack centred">
          <a
            class="button"
            id="load-older"
            href={next}
            hx-get={next}
            hx-target="closest li"
            hx-swap="outerHTML"
            {...showErrorsIn("older-problem")}
          >
            Load older
          </a>
          <ErrorSlot id="older-problem" />
        </li>
      )}
    </>
  );
}

/** The latest conversations, beside the chat; refreshed by HTMX when a conversation ends. */
export function Recent({ sessions, now }: { sessions: ListedSession[]; now: number }) {
  return (
    <section
      class="card stack"
      id="recent"
      aria-labelledby="recent-title"
      hx-get="/history/recent"
      hx-trigger="parley:ended from:body"
      hx-swap="outerHTML"
    >
      <h2 id="recent-title">Recent</h2>
      {sessions.length === 0 ? (
        <p class="muted">Your conversations will appear here.</p>
      ) : (
        <ul class="recent stack">
          {sessions.map((session) => (
            <li class="row between small">
              <a href={`/history/${session.id}`}>
                <bdi>{session.room}</bdi>
              </a>
              <span class="muted">
                <RelativeTime at={session.started_at} now={now} />
              </span>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
