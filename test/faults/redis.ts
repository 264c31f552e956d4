import { RedisClient } from "bun";
import { isSessionEnd } from "../../src/domain/transcript.ts";
import { LiveKitChild } from "../e2e/livekit-child.ts";
import { providerEnv, startParley } from "../parley.ts";
import { type RedisServer, startRedis } from "../redis-server.ts";
import { startStandIn } from "../stand-in/openai.ts";
import { Conversation, closeCode, lostIn, seenIn } from "./conversation.ts";
import type { Fault, Outcome } from "./fault.ts";

// Two instances share a Redis that fails: the conversation goes on where it runs, and the clients
// of the other instance get all of it in the end.

interface RedisFault {
  fail(redis: RedisServer): Promise<void>;
  heal(redis: RedisServer): Promise<void>;
}

const FAULTS: Record<string, RedisFault> = {
  "Redis is killed (-9) and started again": {
    fail: (redis) => redis.kill(),
    heal: (redis) => redis.start(),
  },
  "Redis is killed and comes back empty": {
    fail: (redis) => redis.kill(),
    heal: (redis) => redis.start({ empty: true }),
  },
  "Redis is emptied (FLUSHALL)": { fail: flush, heal: async () => {} },
  "Redis is frozen (SIGSTOP) for two turns": {
    fail: async (redis) => redis.signal("SIGSTOP"),
    heal: async (redis) => redis.signal("SIGCONT"),
  },
};

export const faults: Fault[] = Object.entries(FAULTS).map(([what, fault]) => ({
  what,
  run: () => failing(fault),
}));

async function failing({ fail, heal }: RedisFault): Promise<Outcome> {
  await using opening = new AsyncDisposableStack();
  const redis = opening.use(await startRedis());
  const livekit = opening.use(new LiveKitChild());
  await livekit.start();
  const ai = opening.use(await startStandIn({ realtime: false }));
  const env = { ...providerEnv(ai.url, false), ...livekit.env, REDIS_URL: redis.url };
  const here = opening.use(await startParley({ env }));
  const there = opening.use(await startParley({ env }));
  const conversation = opening.use(await Conversation.begin(here));
  await using abroad = await there.listen(conversation.id, 0);
  await conversation.turn("Before it fails.");
  await fail(redis);
  await conversation.turn("While it fails.");
  await conversation.turn("While it still fails.");
  const { now } = conversation;
  const healed = performance.now();
  await heal(redis);
  await abroad.waitFor(({ seq }) => seq >= now);
  await conversation.turn("After it failed.");
  await abroad.waitFor(({ seq }) => seq >= conversation.now);
  const backMs = performance.now() - healed;
  const seen = seenIn(conversation.events);
  if ((await conversation.stop()) !== 200) throw new Error("it cannot be stopped");
  const codes = [await closeCode(conversation.listener), await closeCode(abroad)];
  const lost = await lostIn(conversation, here);
  const missing = conversation.events.filter(
    ({ seq }) => !abroad.events.some((e) => e.seq === seq),
  );
  lost.push(...missing.map((event) => `the other instance sent no ${JSON.stringify(event)}`));
  const ends = abroad.events.filter(isSessionEnd).length;
  if (ends !== 1) throw new Error(`the other instance sent ${ends} ends`);
  return { seen: `${seen}; at the end close codes ${codes.join(" and ")}`, backMs, lost };
}

async function flush({ url }: RedisServer): Promise<void> {
  const client = new RedisClient(url);
  await client.send("FLUSHALL", []);
  client.close();
}
