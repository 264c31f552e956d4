import type { Session, SessionCounts } from "../../src/domain/session.ts";
import type { SessionPage } from "../../src/domain/stores.ts";
import { count, duration, endedBadly, endedBecause, isLiveState, When } from "./words.tsx";

type ListedSession = Session & SessionCounts;

/** One conversation in the history. While it is live it asks for itself anew every few seconds. */
export function SessionRow({ session, now }: { session: ListedSession; now: number }) {
  const live = isLiveState(session.state);
  const url = `/history/${session.id}`;
  const polling = live
    ? { "hx-get": `${url}/row`, "hx-trigger": "every 3s", "hx-swap": "outerHTML" }
    : {};
  return (
    <li
      class="session"
      id={`session-${session.id}`}
      data-session-id={session.id}
      data-live={String(live)}
      {...polling}
    >
      <a class="session-link" id={`session-link-${session.id}`} href={url}>
        <bdi>{session.room}</bdi>
      </a>
      <StateBadge session={session} />
      <p class="session-facts">
        <Who session={session} />
        <When at={session.started_at} now={now} />
        <span>{duration((session.ended_at ?? now) - session.started_at)}</span>
        <span>{count(session.segments, "line")}</span>
      </p>
    </li>
  );
}

/** The person in it: the name they gave, else their identity. */
export function Who({ session }: { session: Session }) {
  return <bdi class="who">{session.name ?? session.identity ?? "somebody"}</bdi>;
}

/** Whether a conversation is live, or why it ended. */
export function StateBadge({ session }: { session: Session }) {
  if (isLiveState(session.state)) {
    return (
      <span class="badge badge-live">
        <span class="pulse" aria-hidden="true"></span>Live
      </span>
    );
  }
  const bad = endedBadly(session.end_reason);
  return <span class={bad ? "badge badge-bad" : "badge"}>{endedBecause(session.end_reason)}</span>;
}

const SAY_ERROR = {
  "hx-status:4xx": "target:#older-problem swap:innerHTML",
  "hx-status:5xx": "target:#older-problem swap:innerHTML",
};

/** A page's rows and the way to the next (older) ones: a link that HTMX follows in place. */
export function SessionRows({ page, now }: { page: SessionPage; now: number }) {
  const next = page.next === null ? null : `/history?before=${encodeURIComponent(page.next)}`;
  return (
    <>
      {page.sessions.map((session) => (
        <SessionRow session={session} now={now} />
      ))}
      {next === null ? null : (
        <li class="older">
          <a
            class="button"
            id="load-older"
            href={next}
            hx-get={next}
            hx-target="closest li"
            hx-swap="outerHTML"
            {...SAY_ERROR}
          >
            Load older
          </a>
          <div id="older-problem"></div>
        </li>
      )}
    </>
  );
}
