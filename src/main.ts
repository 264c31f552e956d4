#!/usr/bin/env bun
import { runCommand } from "./cli/run.ts";
import { sourceResources } from "./resources.ts";

const program = {
  command: [process.execPath, import.meta.path],
  resources: sourceResources(),
  // Collected on each call, so that they match the installed packages.
  licenses: async () => (await import("../scripts/licenses.ts")).sourceLicenses(),
};
process.exit(await runCommand(program, process.argv.slice(2), process.env));
