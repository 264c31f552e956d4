#!/usr/bin/env bun
import { runCommand } from "./cli/run.ts";
import { sourceResources } from "./resources.ts";

process.exit(
  await runCommand({ resources: sourceResources() }, process.argv.slice(2), process.env),
);
