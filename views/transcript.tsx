/** @jsxImportSource hono/jsx */
import { languageName, sameLanguage } from "../src/domain/language.ts";
import type { Session } from "../src/domain/session.ts";
import type { Segment } from "../src/domain/transcript.ts";
import { directionOf, formatElapsed } from "../src/lib/words.ts";
import { type ListedSession, LiveMark, Participant, SessionState } from "./fragments/sessions.tsx";
import { dateAndTime, duration, isLive, plural } from "./fragments/words.tsx";
import { Layout, type Shell } from "./layout.tsx";

interface TranscriptPageProps {
  shell: Shell;
  session: ListedSession;
  segments: Segment[];
  now: number;
}

/** One conversation: what was said, its settings, and the downloads. */
export function TranscriptPage({ shell, session, segments, now }: TranscriptPageProps) {
  return (
    <Layout shell={shell} title={session.room} current="history">
      <main id="main" class="page page-split">
        <div class="whole-row">
          <p class="small">
            <a href="/history">History</a>
          </p>
          <h1>
            <bdi>{session.room}</bdi>
          </h1>
        </div>
        <TranscriptLines session={session} segments={segments} />
        <aside class="stack loose">
          <Details session={session} segments={segments} now={now} />
          {segments.length === 0 ? null : <Downloads session={session} />}
        </aside>
      </main>
    </Layout>
  );
}

/**
 * What was said, in the order in which it began: an interrupted answer is stored after the words
 * that interrupted it. While the session is live, HTMX adds what is new.
 */
export function TranscriptLines({ session, segments }: { session: Session; segments: Segment[] }) {
  const live = isLive(session.state);
  const polling = live
    ? {
        "hx-get": `/history/${session.id}/lines`,
        "hx-trigger": "every 2s",
        "hx-swap": "outerMorph",
      }
    : {};
  const lines = segments.toSorted(byStart);
  const languages = newLanguages(session.language, lines);
  return (
    <section class="card stack loose" id="lines" aria-label="Transcript" {...polling}>
      {segments.length === 0 ? (
        <p class="muted">{live ? "Nothing has been said yet." : "Nothing was said."}</p>
      ) : (
        <ol class="stack">
          {lines.map((segment, index) => (
            <Line session={session} segment={segment} newLanguage={languages[index] ?? null} />
          ))}
        </ol>
      )}
      {live ? (
        <p>
          <LiveMark>In progress</LiveMark>
        </p>
      ) : null}
    </section>
  );
}

function byStart(a: Segment, b: Segment): number {
  return a.started_at - b.started_at || a.seq - b.seq;
}

/** For each line the language that was heard in it, where it is not that of the lines before. */
function newLanguages(chosen: string | null, lines: readonly Segment[]): (string | null)[] {
  let heard = chosen;
  return lines.map(({ language }) => {
    if (language === null || (heard !== null && sameLanguage(language, heard))) return null;
    heard = language;
    return language;
  });
}

interface LineProps {
  session: Session;
  segment: Segment;
  newLanguage: string | null;
}

function Line({ session, segment, newLanguage }: LineProps) {
  const language = segment.language ?? session.language;
  const name = segment.identity === session.identity ? session.name : null;
  const speaker = segment.role === "agent" ? "Agent" : (name ?? segment.identity);
  return (
    <li
      class="line"
      id={`segment-${segment.seq}`}
      data-segment-id={segment.segment_id}
      data-role={segment.role}
      data-final="true"
      {...(segment.interrupted ? { "data-interrupted": "true" } : {})}
    >
      <span class="line-who">
        <bdi>{speaker}</bdi>
      </span>
      <p
        class="line-text"
        dir={directionOf(segment.text)}
        {...(language === null ? {} : { lang: language })}
      >
        {segment.text}
      </p>
      <time class="line-time">{formatElapsed(segment.started_at - session.started_at)}</time>
      {newLanguage === null ? null : <span class="line-mark">{languageName(newLanguage)}</span>}
      {segment.interrupted ? <span class="line-mark">interrupted</span> : null}
    </li>
  );
}

function Details({ session, segments, now }: Omit<TranscriptPageProps, "shell">) {
  return (
    <section class="card stack" aria-label="About this conversation">
      <SessionState session={session} />
      <dl class="details">
        <dt>Participant</dt>
        <dd>
          <Participant session={session} />
          {session.name !== null && session.identity !== null ? (
            <>
              {" "}
              <bdi class="muted">{session.identity}</bdi>
            </>
          ) : null}
        </dd>
        <dt>Started</dt>
        <dd>
          <time datetime={new Date(session.started_at).toISOString()}>
            {dateAndTime(session.started_at)}
          </time>
        </dd>
        <dt>Duration</dt>
        <dd>
          {duration((session.ended_at ?? now) - session.started_at)}
          {isLive(session.state) ? " so far" : ""}, {plural(session.turns, "turn")}
        </dd>
        <dt>Language</dt>
        <dd>{languagesOf(session, segments)}</dd>
        <dt>Model</dt>
        <dd class="wrap">{session.llm_model}</dd>
        <dt>Voice</dt>
        <dd class="wrap">
          {session.voice} <span class="muted">({session.tts_model})</span>
        </dd>
        <dt>Speech recognition</dt>
        <dd class="wrap">{session.stt_model}</dd>
        {session.keyterms.length === 0 ? null : (
          <>
            <dt>Words to expect</dt>
            <dd>
              <bdi>{session.keyterms.join(", ")}</bdi>
            </dd>
          </>
        )}
      </dl>
      <details>
        <summary>System prompt</summary>
        <div class="stack">
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
        </div>
      </details>
    </section>
  );
}

/** `German`, or `Automatic: German, English` with what was heard. */
function languagesOf(session: Session, segments: readonly Segment[]): string {
  if (session.language !== null) return languageName(session.language);
  const heard = segments.flatMap(({ language }) => (language === null ? [] : [language]));
  const names = [...new Set(heard)].map(languageName);
  return names.length === 0 ? "Automatic" : `Automatic: ${names.join(", ")}`;
}

const DOWNLOADS = [
  ["txt", "Text"],
  ["md", "Markdown"],
  ["vtt", "WebVTT"],
  ["srt", "SubRip"],
  ["json", "JSON"],
  ["csv", "CSV"],
] as const;

function Downloads({ session }: { session: Session }) {
  return (
    <section class="card stack" aria-labelledby="downloads-title">
      <h2 id="downloads-title">Download</h2>
      <ul class="downloads">
        {DOWNLOADS.map(([format, label]) => (
          <li>
            <a
              class="button button-small"
              href={`/transcripts/${session.id}?format=${format}`}
              download
            >
              {label}
            </a>
          </li>
        ))}
      </ul>
    </section>
  );
}
