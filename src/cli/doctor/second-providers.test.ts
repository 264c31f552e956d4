import { expect, test } from "bun:test";
import { startStandIn } from "../../../test/stand-in/openai.ts";
import { readConfig } from "../../config.ts";
import type { ProviderOverview } from "../../domain/provider.ts";
import { STAGES } from "../../domain/stage.ts";
import { runCheck } from "./check.ts";
import { stageChecks } from "./second-providers.ts";

const second: ProviderOverview = {
  ...{ use: "endpoint", baseURL: undefined, model: undefined, voice: undefined, hasKey: false },
  ...{ fixedBy: "LLM_FALLBACK_BASE_URL", problem: undefined },
};

test("a failure is a warning while the other provider of the stage works", async () => {
  await using first = await startStandIn({ realtime: false, prewarm: ["Hello."] });
  await using other = await startStandIn({ realtime: false });
  const config = readConfig({
    OPENAI_BASE_URL: first.url,
    OPENAI_API_KEY: "k",
    STT_REALTIME: "false",
    LLM_FALLBACK_BASE_URL: other.url,
  });
  const withSeconds = { ...config, llm: { ...config.llm, fallback: config.seconds.llm } };
  const overview = STAGES.map((stage) => ({
    ...{ stage, use: "endpoint" as const, model: undefined, problem: undefined },
    second: stage === "llm" ? second : undefined,
  }));
  const states = async () => {
    const results = await Promise.all(stageChecks(withSeconds, overview).map(runCheck));
    return results.flatMap(({ name, status }) =>
      name.startsWith("language model") ? [[name, status]] : [],
    );
  };
  const named = (one: string, two: string) => [
    ["language model", one],
    ["language model, second", two],
  ];
  expect(await states()).toEqual(named("ok", "ok"));
  const broken = { kind: "status", status: 500 } as const;
  first.fail("llm", broken, Number.POSITIVE_INFINITY);
  expect(await states()).toEqual(named("warning", "ok"));
  other.fail("llm", broken, Number.POSITIVE_INFINITY);
  expect(await states()).toEqual(named("failed", "warning"));
  first.heal();
  expect(await states()).toEqual(named("ok", "warning"));
});
