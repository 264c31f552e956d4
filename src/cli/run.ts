import { Failure } from "../errors.ts";
import { VERSION } from "../version.ts";
import { type Program, serve } from "./serve.ts";

const HELP = `Parley ${VERSION}, a self-hosted voice agent

Usage: parley [command]

Commands:
  serve        run the server (the default); configured by environment variables
  version      print the version
  --help       print this help
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
  try {
    return await dispatch(program, args, variables);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    process.stderr.write(`parley: ${error.message}\n`);
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
