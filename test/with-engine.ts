// The real program, with another server in the place of the engine for models on this machine:
// ENGINE_URL and ENGINE_KEY name it. Calls of the engine appear in the log.
import { runCommand } from "../src/cli/run.ts";
import type { Engine, LocalModel } from "../src/domain/model.ts";
import { sourceResources } from "../src/resources.ts";

const tell = (call: string, models: readonly LocalModel[] = []) => {
  const names = models.map(({ stage, kind, id }) => `${stage} ${kind} ${id}`);
  console.log(JSON.stringify({ msg: "engine", call, models: names }));
};

function createEngine(): Engine {
  let used = "";
  return {
    serverOf: () => ({ baseURL: Bun.env["ENGINE_URL"] ?? "", apiKey: Bun.env["ENGINE_KEY"] ?? "" }),
    ready: async (stages) => {
      if (stages.length > 0) tell("ready");
    },
    use: (models) => {
      if (used !== JSON.stringify(models)) tell("use", models);
      used = JSON.stringify(models);
    },
    state: () => [],
    [Symbol.asyncDispose]: async () => tell("dispose"),
  };
}

const program = { command: [], resources: sourceResources(), createEngine };
process.exit(await runCommand(program, ["serve"], Bun.env));
