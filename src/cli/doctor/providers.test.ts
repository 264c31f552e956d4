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

test("every stage answers a real request, over the realtime WebSocket where there is one", async () => {
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
  expect(forced.get("speech to text")?.status).toBe("failed");
  expect(forced.get("realtime transcription")?.mend).toContain("STT_REALTIME=auto");
});

const STAGES = [
  ["stt", "speech to text"],
  ["llm", "language model"],
  ["tts", "text to speech"],
] as const;
const FAULTS: [fault: Fault, mend: (stage: string) => string][] = [
  [{ kind: "status", status: 401 }, (stage) => `${stage}_API_KEY`],
  [{ kind: "status", status: 404 }, (stage) => `${stage}_MODEL`],
  [{ kind: "status", status: 429 }, () => "balance"],
  [{ kind: "status", status: 500 }, () => "status page"],
  [{ kind: "refuse" }, (stage) => `${stage}_BASE_URL`],
];

test.each(STAGES)(
  "each failure of %s is told with its mend, and of no other stage",
  async (stage, name) => {
    for (const [fault, mend] of FAULTS) {
      standIn.heal();
      standIn.fail(stage, fault, Number.POSITIVE_INFINITY);
      const found = await check({ STT_REALTIME: "false" });
      expect(found.get(name)).toMatchObject({
        status: "failed",
        mend: expect.stringContaining(mend(stage.toUpperCase())),
      });
      expect(states(found).filter((status) => status === "failed")).toHaveLength(1);
    }
  },
);

test("a provider that never answers is given up within its time", async () => {
  for (const stage of ["stt", "llm", "tts"] as const) standIn.fail(stage, { kind: "hang" }, 9);
  const startedAt = performance.now();
  const found = await check({ STT_REALTIME: "false" });
  expect(performance.now() - startedAt).toBeLessThan(12_000);
  expect(states(found).slice(0, 3)).toEqual(["failed", "failed", "failed"]);
  expect(found.get("language model")?.mend).toContain("LLM_BASE_URL");
}, 20_000);

test("without any provider it is said which variables to set", async () => {
  const results = await Promise.all(providerChecks(readConfig({})).map(runCheck));
  for (const { status, mend } of results.slice(0, 3)) {
    expect(status).toBe("failed");
    expect(mend).toContain("OPENAI_API_KEY");
  }
});

test("of a stage that this machine serves the files are looked at, and nothing is asked", async () => {
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
  expect(results[1]?.mend).toContain("parley models pull");
  expect(standIn.requests).toHaveLength(length);
});
