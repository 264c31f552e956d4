import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import type { Fault } from "../../../test/stand-in/faults.ts";
import { type StandIn, startStandIn } from "../../../test/stand-in/openai.ts";
import { readConfig } from "../../config.ts";
import { type CheckResult, runCheck } from "./check.ts";
import { providerChecks } from "./providers.ts";

const KEY = "sk-secret-of-the-test";
let standIn: StandIn;

beforeAll(async () => {
  standIn = await startStandIn({ apiKey: KEY, prewarm: ["Hello."] });
});
afterAll(() => standIn[Symbol.asyncDispose]());
beforeEach(() => {
  standIn.heal();
  standIn.realtime = true;
});

async function check(variables: Record<string, string> = {}): Promise<Map<string, CheckResult>> {
  const config = readConfig({
    OPENAI_BASE_URL: standIn.url,
    OPENAI_API_KEY: KEY,
    ...variables,
  });
  const results = await Promise.all(providerChecks(config).map(runCheck));
  expect(JSON.stringify(results)).not.toContain(KEY);
  return new Map(results.map((result) => [result.name, result]));
}

const states = (results: Map<string, CheckResult>) =>
  [...results.values()].map(({ status }) => status);

test("every stage answers a real request, over the realtime WebSocket if there is one", async () => {
  const found = await check();
  expect(states(found)).toEqual(["ok", "ok", "ok", "ok"]);
  expect(found.get("realtime transcription")?.detail).toBe("yes");
  expect(found.get("language model")?.detail).toMatch(/answers in \d+ ms/);
  const realtime = await standIn.waitFor("stt", ({ outcome }) => outcome === "done");
  expect(realtime.via).toBe("realtime");
});

test("without realtime, transcription is a request, and asking for realtime fails", async () => {
  standIn.realtime = false;
  const auto = await check();
  expect(states(auto)).toEqual(["ok", "ok", "ok", "ok"]);
  expect(auto.get("realtime transcription")?.detail).toStartWith("no");
  const forced = await check({ STT_REALTIME: "true" });
  expect(forced.get("speech recognition")?.status).toBe("failed");
  expect(forced.get("realtime transcription")?.hint).toContain("STT_REALTIME=auto");
});

const STAGES = [
  ["stt", "speech recognition"],
  ["llm", "language model"],
  ["tts", "voice"],
] as const;
const FAULTS: [fault: Fault, hint: (stage: string) => string][] = [
  [{ kind: "status", status: 401 }, () => "OPENAI_API_KEY"],
  [{ kind: "status", status: 404 }, (stage) => `${stage}_MODEL`],
  [{ kind: "status", status: 429 }, () => "Wait a little"],
  [{ kind: "status", status: 500 }, () => "again"],
  [{ kind: "refuse" }, () => "again"],
];

test.each(STAGES)(
  "each failure of %s has its hint, and no other stage fails",
  async (stage, name) => {
    for (const [fault, hintPart] of FAULTS) {
      standIn.heal();
      standIn.fail(stage, fault, Number.POSITIVE_INFINITY);
      const found = await check({ STT_REALTIME: "false" });
      expect(found.get(name)).toMatchObject({
        status: "failed",
        hint: expect.stringContaining(hintPart(stage.toUpperCase())),
      });
      expect(states(found).filter((status) => status === "failed")).toHaveLength(1);
    }
  },
);

test("a provider that never answers fails within its deadline", async () => {
  for (const stage of ["stt", "llm", "tts"] as const) standIn.fail(stage, { kind: "hang" }, 9);
  const startedAt = performance.now();
  const found = await check({ STT_REALTIME: "false" });
  expect(performance.now() - startedAt).toBeLessThan(12_000);
  expect(states(found).slice(0, 3)).toEqual(["failed", "failed", "failed"]);
  expect(found.get("language model")?.hint).toContain("OPENAI_BASE_URL");
}, 20_000);

test("without any provider the hint names the variables to set", async () => {
  const results = await Promise.all(providerChecks(readConfig({})).map(runCheck));
  for (const { status, hint } of results.slice(0, 3)) {
    expect(status).toBe("failed");
    expect(hint).toContain("OPENAI_API_KEY");
  }
});

test("for a stage with a local model the files are checked, and no request is made", async () => {
  const { length } = standIn.requests;
  const config = readConfig({ OPENAI_BASE_URL: standIn.url, OPENAI_API_KEY: KEY });
  const local = { use: "local", model: "tiny", problem: undefined } as const;
  const results = await Promise.all(
    providerChecks(config, [
      { ...local, stage: "stt" },
      { ...local, stage: "llm", problem: "tiny is not on this machine" },
      { ...local, stage: "tts" },
    ]).map(runCheck),
  );
  expect(states(new Map(results.map((one) => [one.name, one])))).toEqual(["ok", "failed", "ok"]);
  expect(results[0]?.detail).toBe("tiny on this machine");
  expect(results[1]?.hint).toContain("parley models pull");
  expect(standIn.requests).toHaveLength(length);
});
