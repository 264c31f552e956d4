#!/usr/bin/env bun
import { serve } from "./cli/serve.ts";
import { Failure } from "./errors.ts";
import { VERSION } from "./version.ts";

const HELP = `Parley ${VERSION}, a self-hosted voice agent

Usage: parley [command]

Commands:
  serve        run the server (the default); configured by environment variables
  version      print the version
  --help       print this help
`;

/** Runs the command that the arguments name. */
async function run(args: string[]): Promise<number> {
  const [command = "serve", ...rest] = args;
  switch (command) {
    case "serve":
    case "--dev":
      return serve(process.env, [command, ...rest]);
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

try {
  process.exit(await run(process.argv.slice(2)));
} catch (error) {
  // Thrown on, what nobody expected would be logged as a surprise to outlive, and the exit be 0.
  const why = error instanceof Failure ? error.message : Bun.inspect(error);
  process.stderr.write(`parley: ${why}\n`);
  process.exit(1);
}
