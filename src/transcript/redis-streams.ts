import type { RedisClient } from "bun";
import { z } from "zod";
import {
  type Envelope,
  envelope,
  isSessionEnd,
  type SessionPosition,
} from "../domain/transcript.ts";

/** How long Redis keeps a session after its last event, s. */
const KEPT_S = 86_400;
/** About how many events of one session Redis keeps: hours of speech, and a bound all the same. */
const MAX_EVENTS = 100_000;
const PAGE = 1000;

/**
 * Adds entries to a session's stream and announces each, if the stream ends where the caller
 * thinks it does; answers where it ends then. In one script, so that an entry is never announced
 * before it can be read, nor twice when the caller repeats itself after a lost answer.
 *
 * KEYS: stream, mark of the end. ARGV: channel, newest seq expected, events kept, seconds kept,
 * "1" when the session ends, then seq and text of each entry.
 */
const ADD = `
local top = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local newest = top and tonumber(string.match(top[1], '^%d+')) or 0
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
const endKey = (sessionId: string) => `parley:{${sessionId}}:ended`;

/** The pub/sub channel on which a session's new events are announced. */
export const channelOf = (sessionId: string) => `parley:{${sessionId}}:live`;

/**
 * Adds envelopes to the session's stream if its newest `seq` is `expected` (0: no stream).
 * @returns the newest `seq` of the stream afterwards; another than `expected` and the last of
 *   `entries`: nothing was added
 */
export async function addToStream(
  client: RedisClient,
  sessionId: string,
  expected: number,
  entries: readonly Envelope[],
): Promise<number> {
  const ends = entries.some(isSessionEnd);
  const reply: unknown = await client.send("EVAL", [
    ADD,
    "2",
    streamKey(sessionId),
    endKey(sessionId),
    channelOf(sessionId),
    String(expected),
    String(MAX_EVENTS),
    String(KEPT_S),
    ends ? "1" : "0",
    ...entries.flatMap((entry) => [String(entry.seq), JSON.stringify(entry)]),
  ]);
  return z.number().parse(reply);
}

/**
 * Envelopes of the stream with `seq` greater than `after`, in order; unreadable ones left out.
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
    const count = Math.min(PAGE, limit - found.length);
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
      const parsed = readEnvelope(text);
      // An entry that claims to be another one would break the order of `seq`.
      if (parsed?.session_id === sessionId && parsed.seq === from) found.push(parsed);
    }
    if (entries.length < count || found.length === limit) return found;
  }
}

/** See `ChannelLayer.position`. */
export async function streamPosition(
  client: RedisClient,
  sessionId: string,
): Promise<SessionPosition> {
  const [newest, ended]: unknown[] = await Promise.all([
    client.send("XREVRANGE", [streamKey(sessionId), "+", "-", "COUNT", "1"]),
    client.send("EXISTS", [endKey(sessionId)]),
  ]);
  const id = streamReply.parse(newest ?? []).at(0)?.[0];
  return { seq: id === undefined ? 0 : seqOf(id), ended: ended === 1 };
}

/** An envelope from text of unknown origin; undefined when it is none. */
export function readEnvelope(text: string): Envelope | undefined {
  try {
    return envelope.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

function seqOf(id: string): number {
  return Number(id.slice(0, id.indexOf("-")));
}
