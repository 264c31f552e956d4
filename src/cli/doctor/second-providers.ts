import type { StageOverview } from "../../domain/provider.ts";
import { STAGES, type StageProviders } from "../../domain/stage.ts";
import { STAGE_NAMES } from "../../lib/words.ts";
import type { StageConfig } from "../../providers/resolve-stages.ts";
import { type Check, type Finding, warning } from "./check.ts";
import { providerChecks } from "./providers.ts";

type Config = StageProviders & Pick<StageConfig, "fixedBy" | "fallbackFixedBy">;
type Overview = Pick<StageOverview, "stage" | "use" | "model" | "problem" | "second">;

/**
 * Checks the stages, and what takes over when they fail: conversations are possible while one of
 * the two works, so the failure of one is a warning then.
 */
export function stageChecks(config: Config, overview: readonly Overview[]): Check[] {
  const first = providerChecks(config, overview);
  const seconds = secondChecks(config, overview);
  const withSecond = first.map((check): Check => {
    const second = seconds.get(check.name);
    if (second === undefined) return check;
    return {
      ...check,
      deadlineMs: check.deadlineMs + second.deadlineMs,
      run: async () => {
        const finding = await check.run();
        if (finding.status !== "failed") return finding;
        const { status } = await second.run();
        return status === "failed" ? finding : asWarning(finding);
      },
    };
  });
  const own = [...seconds.values()].map(
    (check): Check => ({
      ...check,
      name: `${check.name}, second`,
      run: async () => asWarning(await check.run()),
    }),
  );
  return [...withSecond, ...own];
}

/** The checks of the second providers by the name of their stage; each runs once. */
function secondChecks(config: Config, overview: readonly Overview[]): Map<string, Check> {
  const taking = overview.flatMap(({ stage, second }) => (second ? [{ ...second, stage }] : []));
  if (taking.length === 0) return new Map();
  const { stt, llm, tts } = config;
  const servers = {
    stt: { ...(stt.fallback ?? stt), realtime: false },
    llm: llm.fallback ?? llm,
    tts: tts.fallback ?? tts,
    fixedBy: config.fallbackFixedBy,
  };
  const names = STAGES.filter((stage) => taking.some((one) => one.stage === stage)).map((stage) =>
    STAGE_NAMES[stage].toLowerCase(),
  );
  const checks = providerChecks(servers, taking).filter(({ name }) => names.includes(name));
  return new Map(
    checks.map((check) => {
      let finding: Promise<Finding> | undefined;
      const run = () => {
        finding ??= check.run();
        return finding;
      };
      return [check.name, { ...check, run }];
    }),
  );
}

function asWarning(finding: Finding): Finding {
  if (finding.status !== "failed") return finding;
  return warning(finding.detail, finding.hint ?? "");
}
