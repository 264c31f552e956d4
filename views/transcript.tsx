import type { Session, SessionCounts } from "../src/domain/session.ts";
import type { Segment } from "../src/domain/transcript.ts";
import { StateBadge, Who } from "./fragments/session-row.tsx";
import { TranscriptLines } from "./fragments/transcript-lines.tsx";
import { count, dateAndTime, duration, isLiveState } from "./fragments/words.tsx";
import { Layout, type Shell } from "./layout.tsx";

interface TranscriptPageProps {
  shell: Shell;
  session: Session & SessionCounts;
  segments: Segment[];
  now: number;
}

const DOWNLOADS = [
  ["txt", "Text"],
  ["md", "Markdown"],
  ["vtt", "WebVTT"],
  ["srt", "SubRip"],
  ["json", "JSON"],
  ["csv", "CSV"],
] as const;

/** One conversation: what was said, how it went, and the downloads. */
export function TranscriptPage({ shell, session, segments, now }: TranscriptPageProps) {
  return (
    <Layout shell={shell} title={session.room} current="history">
      <main id="main" class="page page-split">
        <div class="page-head">
          <p class="eyebrow">
            <a href="/history">History</a>
          </p>
          <h1 dir="auto" class="wrap">
            {session.room}
          </h1>
        </div>
        <TranscriptLines session={session} segments={segments} />
        <aside class="side">
          <Facts session={session} now={now} />
          <Downloads session={session} empty={segments.length === 0} />
        </aside>
      </main>
    </Layout>
  );
}

function Facts({ session, now }: { session: Session & SessionCounts; now: number }) {
  const length = (session.ended_at ?? now) - session.started_at;
  return (
    <section class="card facts" aria-label="About this conversation">
      <StateBadge session={session} />
      <dl>
        <dt>Person</dt>
        <dd>
          <Who session={session} />
          {session.name !== null && session.identity !== null ? (
            <>
              {" "}
              <bdi class="soft">{session.identity}</bdi>
            </>
          ) : null}
        </dd>
        <dt>Began</dt>
        <dd>
          <time datetime={new Date(session.started_at).toISOString()}>
            {dateAndTime(session.started_at)}
          </time>
        </dd>
        <dt>Length</dt>
        <dd>
          {duration(length)}
          {isLiveState(session.state) ? " so far" : ""}, {count(session.turns, "turn")}
        </dd>
        <dt>Model</dt>
        <dd class="wrap">{session.llm_model}</dd>
        <dt>Voice</dt>
        <dd class="wrap">
          {session.voice} <span class="soft">({session.tts_model})</span>
        </dd>
        <dt>Recognition</dt>
        <dd class="wrap">{session.stt_model}</dd>
      </dl>
      <details>
        <summary>System prompt</summary>
        <p class="prompt" dir="auto">
          {session.system_prompt}
        </p>
        {session.greeting === null ? null : (
          <>
            <h3>Greeting</h3>
            <p class="prompt" dir="auto">
              {session.greeting}
            </p>
          </>
        )}
      </details>
    </section>
  );
}

function Downloads({ session, empty }: { session: Session; empty: boolean }) {
  if (empty) return null;
  return (
    <section class="card downloads" aria-labelledby="downloads-title">
      <h2 id="downloads-title">Download</h2>
      <ul>
        {DOWNLOADS.map(([format, label]) => (
          <li>
            <a class="button" href={`/transcripts/${session.id}?format=${format}`} download>
              {label}
            </a>
          </li>
        ))}
      </ul>
    </section>
  );
}
