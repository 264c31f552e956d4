import type { Session } from "../../src/domain/session.ts";
import type { Segment } from "../../src/domain/transcript.ts";
import { isLiveState, offset } from "./words.tsx";

interface TranscriptLinesProps {
  session: Session;
  segments: Segment[];
}

/**
 * What was said, in the order in which it began: an interrupted answer is stored after the words
 * that interrupted it. While the session is live, HTMX adds what is new.
 */
export function TranscriptLines({ session, segments }: TranscriptLinesProps) {
  const live = isLiveState(session.state);
  const polling = live
    ? {
        "hx-get": `/history/${session.id}/lines`,
        "hx-trigger": "every 2s",
        "hx-swap": "outerMorph",
      }
    : {};
  return (
    <section class="card lines-card" id="lines" aria-label="Transcript" {...polling}>
      {segments.length === 0 ? (
        <p class="soft">{live ? "Nothing was said yet." : "Nothing was said."}</p>
      ) : (
        <ol class="lines">
          {segments.toSorted(byBeginning).map((segment) => (
            <Line session={session} segment={segment} />
          ))}
        </ol>
      )}
      {live ? (
        <p class="live-note">
          <span class="pulse" aria-hidden="true"></span>This conversation is going on.
        </p>
      ) : null}
    </section>
  );
}

function byBeginning(a: Segment, b: Segment): number {
  return a.started_at - b.started_at || a.seq - b.seq;
}

function Line({ session, segment }: { session: Session; segment: Segment }) {
  const person = segment.identity === session.identity ? session.name : null;
  const who = segment.role === "agent" ? "Agent" : (person ?? segment.identity);
  return (
    <li
      class="line"
      id={`segment-${segment.seq}`}
      data-segment-id={segment.segment_id}
      data-role={segment.role}
      data-final="true"
      {...(segment.interrupted ? { "data-interrupted": "true" } : {})}
    >
      <span class="line-who" dir="auto">
        {who}
      </span>
      <p class="line-text" dir="auto">
        {segment.text}
      </p>
      <time class="line-time">{offset(segment.started_at - session.started_at)}</time>
      {segment.interrupted ? <span class="line-mark">interrupted</span> : null}
    </li>
  );
}
