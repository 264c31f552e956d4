import type { SessionPage } from "../src/domain/session.ts";
import { SessionRows } from "./fragments/session-row.tsx";
import { Layout, type Shell } from "./layout.tsx";

interface HistoryPageProps {
  shell: Shell;
  page: SessionPage;
  /** Whether these are not the newest: reached by the link, without HTMX. */
  older: boolean;
  now: number;
}

/** All conversations, newest first. */
export function HistoryPage({ shell, page, older, now }: HistoryPageProps) {
  return (
    <Layout shell={shell} title="History" current="history">
      <main id="main" class="page">
        <div class="page-head">
          <h1>History</h1>
          {older ? (
            <a class="button" href="/history">
              Back to the newest
            </a>
          ) : null}
        </div>
        {page.sessions.length === 0 ? (
          <EmptyHistory />
        ) : (
          <ol class="card sessions" id="sessions">
            <SessionRows page={page} now={now} />
          </ol>
        )}
      </main>
    </Layout>
  );
}

function EmptyHistory() {
  return (
    <section class="card message-card">
      <h2>Nothing here yet</h2>
      <p class="soft">Every conversation is kept here with its transcript, newest first.</p>
      <p class="actions">
        <a class="button button-primary" href="/">
          Start one
        </a>
      </p>
    </section>
  );
}
