import { Failure } from "../errors.ts";
import { prepareNetwork } from "../lib/network-environment.ts";
import { VERSION } from "../version.ts";
import { type Program, serve } from "./serve.ts";

const HELP = `Parley ${VERSION}, a self-hosted voice agent

Usage: parley [command]

Commands:
  serve        run the server (the default); configured by environment variables
  doctor       check every part that Parley needs and say how to fix it; --json for programs
  engine       serve local models over OpenAI's API; --help for its arguments
  models       list, download, remove and measure local models: models [list],
               models pull ID, models remove ID, models bench
  drain        let the running Parley end once its conversations have ended, and wait for that
  backup FILE  copy the database to a new file, even while Parley runs
  update       replace this executable by the newest release; --check only tells, --rollback
               brings the version before back
  licenses     print the licences of all parts of Parley
  version      print the version
  --help       print this help

Exit codes: 0 done, 1 failed, 2 wrong arguments.
`;

/**
 * Runs the command that the arguments name.
 *
 * @returns the exit code; an expected failure is one line on stderr and 1
 */
export async function runCommand(
  program: Program,
  args: readonly string[],
  variables: NodeJS.ProcessEnv,
): Promise<number> {
  prepareNetwork(variables);
  try {
    return await dispatch(program, args, variables);
  } catch (error) {
    // Not rethrown: `serve` has installed a handler that logs uncaught errors and keeps running.
    const message = error instanceof Failure ? error.message : Bun.inspect(error);
    process.stderr.write(`parley: ${message}\n`);
    return 1;
  }
}

async function dispatch(
  program: Program,
  args: readonly string[],
  variables: NodeJS.ProcessEnv,
): Promise<number> {
  const [command = "serve", ...rest] = args;
  switch (command) {
    case "serve":
    case "--dev":
      return serve(program, variables, [command, ...rest]);
    // Imported on demand, so that the server starts without them.
    case "doctor": {
      // Otherwise rtc-node writes debug lines to stdout.
      variables["NODE_ENV"] ??= "production";
      const { doctor } = await import("./doctor.ts");
      return doctor(program, variables, rest);
    }
    case "engine": {
      const { engine } = await import("./engine.ts");
      return engine(program, variables, rest);
    }
    case "models": {
      const { models } = await import("./models.ts");
      return models(program, variables, rest);
    }
    case "drain": {
      const { drain } = await import("./drain.ts");
      return drain(program, variables, rest);
    }
    case "backup": {
      const { backup } = await import("./backup.ts");
      return backup(program, variables, rest);
    }
    case "update": {
      const { update } = await import("./update.ts");
      return update(program, variables, rest);
    }
    case "licenses":
      return printLicenses(program);
    case "version":
    case "--version":
      process.stdout.write(`${VERSION}\n`);
      return 0;
    case "help":
    case "--help":
    case "-h":
      process.stdout.write(HELP);
      return 0;
    default:
      process.stderr.write(`parley: there is no command ${JSON.stringify(command)}\n\n${HELP}`);
      return 2;
  }
}

async function printLicenses({ licenses }: Program): Promise<number> {
  if (!licenses) {
    throw new Failure(
      "not_found",
      "this build does not contain the licences: see THIRD-PARTY-LICENSES.txt",
    );
  }
  await Bun.write(Bun.stdout, await licenses());
  return 0;
}
