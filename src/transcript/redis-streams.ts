import type { RedisClient } from "bun";
import { z } from "zod";
import type { SessionPosition } from "../domain/stores.ts";
import { type Envelope, envelope, isSessionEnd } from "../domain/transcript.ts";

/** How long Redis keeps a session after its newest event, in seconds. */
const EXPIRE_AFTER_S = 86_400;
/** About how many events of a session Redis keeps: enough for hours of speech, yet bounded. */
const MAX_EVENTS = 100_000;
const PAGE_SIZE = 1000;

/**
 * A compare-and-append: adds entries to a session's stream and announces each of them, if the
 * stream's newest `seq` is the expected one; returns its newest `seq` afterwards. It is one script,
 * so that an entry is never announced before it can be read, nor twice when the caller repeats the
 * command after a lost answer.
 *
 * KEYS: stream, end marker. ARGV: channel, newest seq expected, maximum of events, expiry in
 * seconds, "1" when the session ends, then seq and text of each entry.
 */
const APPEND = `
local newest_entry = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local newest = newest_entry and tonumber(string.match(newest_entry[1], '^%d+')) or 0
if newest ~= tonumber(ARGV[2]) then return newest end
for i = 6, #ARGV, 2 do
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], ARGV[i] .. '-0', 'e', ARGV[i + 1])
  redis.call('PUBLISH', ARGV[1], ARGV[i + 1])
  newest = tonumber(ARGV[i])
end
redis.call('EXPIRE', KEYS[1], ARGV[4])
if ARGV[5] == '1' then redis.call('SET', KEYS[2], '1', 'EX', ARGV[4]) end
return newest
`;

const streamReply = z.array(
  z.tuple([z.string().regex(/^\d+-\d+$/), z.tuple([z.literal("e"), z.string()]).rest(z.string())]),
);

// The braces keep a session's keys in one slot of a Redis cluster.
const streamKey = (sessionId: string) => `parley:{${sessionId}}:events`;
const endMarkerKey = (sessionId: string) => `parley:{${sessionId}}:ended`;

/** The pub/sub channel on which a session's new events are announced. */
export const channelOf = (sessionId: string) => `parley:{${sessionId}}:live`;

/**
 * Appends envelopes to the session's stream if its newest `seq` is `expected` (0: no stream).
 * @returns the newest `seq` of the stream afterwards. Nothing was added unless that is the `seq` of
 *   the last entry
 */
export async function appendToStream(
  client: RedisClient,
  sessionId: string,
  expected: number,
  entries: readonly Envelope[],
): Promise<number> {
  const ends = entries.some(isSessionEnd);
  const reply: unknown = await client.send("EVAL", [
    APPEND,
    "2",
    streamKey(sessionId),
    endMarkerKey(sessionId),
    channelOf(sessionId),
    String(expected),
    String(MAX_EVENTS),
    String(EXPIRE_AFTER_S),
    ends ? "1" : "0",
    ...entries.flatMap((entry) => [String(entry.seq), JSON.stringify(entry)]),
  ]);
  return z.number().parse(reply);
}

/**
 * Envelopes of the stream with `seq` greater than `after`, in order, without unreadable entries.
 * Fewer than `limit` means that there are no more.
 */
export async function readStream(
  client: RedisClient,
  sessionId: string,
  after: number,
  limit = Infinity,
): Promise<Envelope[]> {
  const found: Envelope[] = [];
  let from = after;
  for (;;) {
    const count = Math.min(PAGE_SIZE, limit - found.length);
    const reply: unknown = await client.send("XRANGE", [
      streamKey(sessionId),
      `(${from}-${Number.MAX_SAFE_INTEGER}`,
      "+",
      "COUNT",
      String(count),
    ]);
    const entries = streamReply.parse(reply ?? []);
    for (const [id, [, text]] of entries) {
      from = seqOf(id);
      const parsed = parseEnvelope(text);
      // An entry whose content has another `seq` than its id would break the order.
      if (parsed?.session_id === sessionId && parsed.seq === from) found.push(parsed);
    }
    if (entries.length < count || found.length === limit) return found;
  }
}

/** The newest `seq` of the session's stream, 0 without one, and whether the session has ended. */
export async function streamPosition(
  client: RedisClient,
  sessionId: string,
): Promise<SessionPosition> {
  const [newest, ended]: unknown[] = await Promise.all([
    client.send("XREVRANGE", [streamKey(sessionId), "+", "-", "COUNT", "1"]),
    client.send("EXISTS", [endMarkerKey(sessionId)]),
  ]);
  const id = streamReply.parse(newest ?? []).at(0)?.[0];
  return { seq: id === undefined ? 0 : seqOf(id), ended: ended === 1 };
}

/** Parses an envelope from text of unknown origin; undefined if it is not an envelope. */
export function parseEnvelope(text: string): Envelope | undefined {
  try {
    return envelope.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

function seqOf(id: string): number {
  return Number(id.slice(0, id.indexOf("-")));
}
