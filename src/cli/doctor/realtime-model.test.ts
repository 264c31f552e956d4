import { expect, test } from "bun:test";
import { startStandIn } from "../../../test/stand-in/openai.ts";
import { runCheck } from "./check.ts";
import { speechToSpeechCheck } from "./realtime-model.ts";

test("the doctor opens a session with the realtime model, and says what to change", async () => {
  await using ai = await startStandIn({ apiKey: "sk-right", knownModel: "talker" });
  const provider = { baseURL: ai.url, apiKey: "sk-right", model: "talker", voice: "ash" };
  const run = (change: object) => runCheck(speechToSpeechCheck({ ...provider, ...change }));
  expect(await run({})).toMatchObject({ name: "speech to speech", status: "ok" });
  const refused = await run({ apiKey: "sk-wrong" });
  expect(refused).toMatchObject({ status: "failed" });
  expect(refused.detail).toContain("refuse");
  expect(JSON.stringify(refused)).not.toContain("sk-wrong");
  expect((await run({ model: "other" })).detail).toContain("model");
  const openai = { baseURL: "https://api.openai.com/v1", apiKey: undefined };
  expect(await run(openai)).toMatchObject({ status: "failed", detail: "no provider is set up" });
});
