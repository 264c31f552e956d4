import { expect, test } from "bun:test";
import { failureOf } from "../../test/failure-of.ts";
import { startStandIn } from "../../test/stand-in/openai.ts";
import { realtimeModelCheck } from "./realtime-model-check.ts";

const KEY = "sk-secret-of-the-test";

function provider(baseURL: string) {
  return { baseURL, apiKey: KEY, model: "talker", voice: "ash", fixedBy: "REALTIME_MODEL" };
}

test("a realtime model that accepts a session is asked once a minute", async () => {
  await using ai = await startStandIn({ apiKey: KEY });
  const check = realtimeModelCheck();
  await Promise.all([check(provider(ai.url)), check(provider(ai.url))]);
  ai.realtime = false;
  await check(provider(ai.url));
});

test("a key that is refused, and a model that is unknown, are told without the key", async () => {
  await using other = await startStandIn({ apiKey: "another" });
  const refused = await failureOf(realtimeModelCheck()(provider(other.url)));
  expect(refused.kind).toBe("upstream_failed");
  expect(refused.message).toContain("REALTIME_API_KEY");
  await using ai = await startStandIn({ knownModel: "another" });
  const unknown = await failureOf(realtimeModelCheck()(provider(ai.url)));
  expect(unknown.message).toContain("does not know the model");
  expect(unknown.message).toContain("REALTIME_MODEL");
  expect(Bun.inspect([refused, unknown])).not.toContain(KEY);
});

test("a server without realtime models, and none at all, are told", async () => {
  await using ai = await startStandIn({ realtime: false });
  expect((await failureOf(realtimeModelCheck()(provider(ai.url)))).message).toContain("404");
  const gone = await failureOf(realtimeModelCheck()(provider("http://127.0.0.1:9/v1")));
  expect(gone.message).toContain("127.0.0.1:9");
});

test("OpenAI without a key says what to set up", async () => {
  const openai = { baseURL: "https://api.openai.com/v1", apiKey: undefined };
  const work = realtimeModelCheck()({ ...openai, model: "gpt-realtime", voice: "marin" });
  expect((await failureOf(work)).kind).toBe("unavailable");
});
