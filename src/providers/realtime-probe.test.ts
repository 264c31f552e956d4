import { expect, test } from "bun:test";
import { startStandIn } from "../../test/stand-in/openai.ts";
import { AT_ONCE, IN_CONVERSATION } from "../../test/stand-in/quirks/realtime.ts";
import { probeRealtime } from "./realtime-probe.ts";

function endpoint(baseURL: string) {
  return { baseURL, apiKey: "test-key" };
}

test("a server that confirms a session for transcription transcribes in real time", async () => {
  await using ai = await startStandIn();
  expect(await probeRealtime(endpoint(ai.url), "m", 4000)).toEqual({ works: true });
});

test.each(AT_ONCE.map((dialect) => [dialect.name, dialect] as const))(
  "a server that %s does not",
  async (_, realtimeDialect) => {
    await using ai = await startStandIn({ realtimeDialect });
    const verdict = await probeRealtime(endpoint(ai.url), "m", 500);
    expect(verdict).toEqual({ works: false, why: expect.any(String), isCertain: true });
  },
);

test.each(IN_CONVERSATION.map((dialect) => [dialect.name, dialect] as const))(
  "a server that %s cannot be told from a good one before anybody speaks",
  async (_, realtimeDialect) => {
    await using ai = await startStandIn({ realtimeDialect });
    expect(await probeRealtime(endpoint(ai.url), "m", 4000)).toEqual({ works: true });
  },
);

test("a server that refuses the key or has no such address does not, for now", async () => {
  await using ai = await startStandIn({ apiKey: "another" });
  expect(await probeRealtime(endpoint(ai.url), "m", 4000)).toMatchObject({
    works: false,
    isCertain: false,
  });
});
