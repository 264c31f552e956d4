/** @jsxImportSource hono/jsx */
import type { SessionPage } from "../src/domain/stores.ts";
import { SessionRows } from "./fragments/sessions.tsx";
import { Layout, type Shell } from "./layout.tsx";

interface HistoryPageProps {
  shell: Shell;
  page: SessionPage;
  /** Whether these are older conversations, reached by the link without HTMX. */
  older: boolean;
  now: number;
}

/** All conversations, newest first. */
export function HistoryPage({ shell, page, older, now }: HistoryPageProps) {
  return (
    <Layout shell={shell} title="History" current="history">
      <main id="main" class="page">
        <div class="row between">
          <h1>History</h1>
          {older ? (
            <a class="button" href="/history">
              Newest
            </a>
          ) : null}
        </div>
        {page.sessions.length === 0 ? (
          <EmptyHistory />
        ) : (
          <ol class="card flush rows" id="sessions">
            <SessionRows page={page} now={now} />
          </ol>
        )}
      </main>
    </Layout>
  );
}

function EmptyHistory() {
  return (
    <section class="card stack">
      <h2>No conversations yet</h2>
      <p class="muted">
        Each conversation appears here with its transcript, with the newest at the top.
      </p>
      <p>
        <a class="button button-primary" href="/">
          Start a conversation
        </a>
      </p>
    </section>
  );
}
