import type { Session, SessionCounts } from "../../src/domain/session.ts";
import { When } from "./words.tsx";

interface RecentProps {
  sessions: (Session & SessionCounts)[];
  now: number;
}

/** The last conversations beside the chat; loaded anew by HTMX when one has ended. */
export function Recent({ sessions, now }: RecentProps) {
  return (
    <section
      class="card recent"
      id="recent"
      aria-labelledby="recent-title"
      hx-get="/history/recent"
      hx-trigger="parley:ended from:body"
      hx-swap="outerHTML"
    >
      <h2 id="recent-title">Recent</h2>
      {sessions.length === 0 ? (
        <p class="soft">Your conversations will be listed here.</p>
      ) : (
        <ul>
          {sessions.map((session) => (
            <li>
              <a href={`/history/${session.id}`}>
                <bdi>{session.room}</bdi>
              </a>
              <span class="soft">
                <When at={session.started_at} now={now} />
              </span>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
