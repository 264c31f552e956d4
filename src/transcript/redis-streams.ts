import { z } from "zod";
import type { EndReason } from "../domain/session.ts";
import type { SessionPosition } from "../domain/stores.ts";
import { closingEvents, type Envelope, envelope, isSessionEnd } from "../domain/transcript.ts";
import { parseJson } from "../lib/json.ts";
import { snapshotOf } from "./snapshot.ts";

/** Sends a command to Redis; see `RedisLink.send`. */
export type Send = (command: string, args: string[]) => Promise<unknown>;

/** How long Redis keeps a session after its newest event, in seconds. */
const EXPIRE_AFTER_S = 86_400;
/** How many of a session's newest events Redis keeps, interims included. */
const RECENT_EVENTS = 1000;
const PAGE_SIZE = 1000;
/** Attempts to end a session to which somebody else appends. */
const END_ATTEMPTS = 5;

// The braces keep a session's keys in one slot of a Redis cluster. The number is the version of
// this layout: a Parley of another one uses other keys.
const key = (sessionId: string, name: string) => `parley:2:{${sessionId}}:${name}`;
/** The newest events. */
const recentKey = (sessionId: string) => key(sessionId, "recent");
/** All events but interims. */
const lastingKey = (sessionId: string) => key(sessionId, "lasting");
/** Exists once the session has ended. */
const endedKey = (sessionId: string) => key(sessionId, "ended");

/** The pub/sub channel on which a session's new events are announced. */
export const channelOf = (sessionId: string) => key(sessionId, "live");

/**
 * A compare-and-append: adds entries to a session's streams and announces each of them, if the
 * newest `seq` is the expected one and the session has not ended; returns the newest `seq`
 * afterwards, and whether the session had ended before. It is one script, so that an entry is never
 * announced before it can be read, nor twice when the caller repeats the command after a lost
 * answer.
 *
 * KEYS: recent, lasting, ended. ARGV: channel, newest seq expected, recent events to keep, expiry
 * in seconds, "1" when the session ends, then seq, "1" if it is lasting, and text of each entry.
 */
const APPEND = `
local newest_entry = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local newest = newest_entry and tonumber(string.match(newest_entry[1], '^%d+')) or 0
local ended = redis.call('EXISTS', KEYS[3])
if newest ~= tonumber(ARGV[2]) or ended == 1 then return {newest, ended} end
for i = 6, #ARGV, 3 do
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], ARGV[i] .. '-0', 'e', ARGV[i + 2])
  if ARGV[i + 1] == '1' then redis.call('XADD', KEYS[2], ARGV[i] .. '-0', 'e', ARGV[i + 2]) end
  redis.call('PUBLISH', ARGV[1], ARGV[i + 2])
  newest = tonumber(ARGV[i])
end
redis.call('EXPIRE', KEYS[1], ARGV[4])
redis.call('EXPIRE', KEYS[2], ARGV[4])
if ARGV[5] == '1' then redis.call('SET', KEYS[3], '1', 'EX', ARGV[4]) end
return {newest, 0}
`;

/**
 * Reads a page: what is older than the recent events from the lasting ones.
 * KEYS: recent, lasting. ARGV: after, greatest possible sequence of an id, count.
 */
const READ = `
local after, count = '(' .. ARGV[1] .. '-' .. ARGV[2], tonumber(ARGV[3])
local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
if not oldest then return {} end
local found = {}
if tonumber(ARGV[1]) + 1 < tonumber(string.match(oldest[1], '^%d+')) then
  found = redis.call('XRANGE', KEYS[2], after, '(' .. oldest[1], 'COUNT', count)
end
if #found == count then return found end
local recent = redis.call('XRANGE', KEYS[1], after, '+', 'COUNT', count - #found)
for _, entry in ipairs(recent) do found[#found + 1] = entry end
return found
`;

/**
 * Removes a session whose start was discarded, and tells its subscribers. The mark stays, for those
 * who were not connected. KEYS: recent, lasting, ended. ARGV: channel, text of the end, expiry.
 */
const DISCARD = `
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('SET', KEYS[3], '1', 'EX', ARGV[3])
redis.call('PUBLISH', ARGV[1], ARGV[2])
`;

const appendReply = z.tuple([z.int(), z.int()]);
const streamReply = z.array(
  z.tuple([z.string().regex(/^\d+-\d+$/), z.tuple([z.literal("e"), z.string()]).rest(z.string())]),
);

/**
 * Appends envelopes to the session's streams if its newest `seq` is `expected` (0: no stream) and
 * it has not ended.
 * @returns the newest `seq` afterwards, and whether the session had ended. Nothing was added unless
 *   that is the `seq` of the last entry
 */
export async function appendToStream(
  send: Send,
  sessionId: string,
  expected: number,
  entries: readonly Envelope[],
): Promise<SessionPosition> {
  const reply = await send("EVAL", [
    ...[APPEND, "3", recentKey(sessionId), lastingKey(sessionId), endedKey(sessionId)],
    channelOf(sessionId),
    String(expected),
    String(RECENT_EVENTS),
    String(EXPIRE_AFTER_S),
    entries.some(isSessionEnd) ? "1" : "0",
    ...entries.flatMap((entry) => [
      String(entry.seq),
      isInterim(entry) ? "0" : "1",
      JSON.stringify(entry),
    ]),
  ]);
  const [seq, ended] = appendReply.parse(reply);
  return { seq, ended: ended === 1 };
}

/**
 * Envelopes of the session with `seq` greater than `after`, in order, without unreadable entries;
 * before the recent ones, interims are missing. Fewer than `limit` means that there are no more.
 */
export async function readStream(
  send: Send,
  sessionId: string,
  after: number,
  limit = Infinity,
): Promise<Envelope[]> {
  const found: Envelope[] = [];
  let from = after;
  for (;;) {
    const count = Math.min(PAGE_SIZE, limit - found.length);
    const reply = await send("EVAL", [
      ...[READ, "2", recentKey(sessionId), lastingKey(sessionId)],
      ...[String(from), String(Number.MAX_SAFE_INTEGER), String(count)],
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

/** The newest `seq` of the session, 0 without one, and whether the session has ended. */
export async function streamPosition(send: Send, sessionId: string): Promise<SessionPosition> {
  const [newest, ended] = await Promise.all([
    send("XREVRANGE", [recentKey(sessionId), "+", "-", "COUNT", "1"]),
    send("EXISTS", [endedKey(sessionId)]),
  ]);
  const id = streamReply.parse(newest ?? []).at(0)?.[0];
  return { seq: id === undefined ? 0 : seqOf(id), ended: ended === 1 };
}

/**
 * Ends a session in Redis for its node, which is gone or has lost the end of its log: open segments
 * become final with what was heard so far. Ending it again, on this node or another, changes
 * nothing.
 * @returns false when Redis does not know the session
 */
export async function endStream(
  send: Send,
  sessionId: string,
  reason: EndReason,
): Promise<boolean> {
  for (let attempt = 0; attempt < END_ATTEMPTS; attempt++) {
    const { seq, ended } = await streamPosition(send, sessionId);
    if (seq === 0 || ended) return seq > 0;
    const at = new Date().toISOString();
    const past = await readStream(send, sessionId, 0);
    const closing = closingEvents(snapshotOf(past), reason).map(
      (event, index): Envelope => ({ ...event, session_id: sessionId, seq: seq + 1 + index, at }),
    );
    const answer = await appendToStream(send, sessionId, seq, closing);
    if (answer.seq === closing.at(-1)?.seq) return true;
  }
  return true;
}

/** Removes a session that could not start; `end` is announced. */
export async function discardStream(send: Send, sessionId: string, end: Envelope): Promise<void> {
  await send("EVAL", [
    ...[DISCARD, "3", recentKey(sessionId), lastingKey(sessionId), endedKey(sessionId)],
    ...[channelOf(sessionId), JSON.stringify(end), String(EXPIRE_AFTER_S)],
  ]);
}

/** Parses an envelope from text of unknown origin; undefined if it is not an envelope. */
export function parseEnvelope(text: string): Envelope | undefined {
  return envelope.safeParse(parseJson(text)).data;
}

function isInterim(entry: Envelope): boolean {
  return entry.type === "transcript" && !entry.data.final;
}

function seqOf(id: string): number {
  return Number(id.slice(0, id.indexOf("-")));
}
