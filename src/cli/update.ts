import { parseArgs } from "node:util";
import { Failure } from "../errors.ts";
import { throttled } from "../lib/throttled.ts";
import { formatBytes } from "../lib/words.ts";
import { InstalledExecutable } from "../update/installed.ts";
import { RELEASE_KEY, RELEASE_LIST_URL } from "../update/release-key.ts";
import { install, newestRelease } from "../update/update.ts";
import { VERSION } from "../version.ts";
import type { Program } from "./serve.ts";

const USAGE = `usage: parley update [--check] [--from URL] [--allow-downgrade]
       parley update --rollback
`;
const AFTERWARDS =
  "Restart Parley to use it; `parley update --rollback` brings the other one back.";

/** What `parley update` trusts and replaces; tests have keys and executables of their own. */
export interface UpdateOptions {
  /** The public key of releases, in PEM form; undefined: this build has none. */
  key: string | undefined;
  version: string;
}

/**
 * `parley update`: replaces this executable by the newest release, if that is signed with the
 * release key and newer.
 *
 * @returns the exit code: 0, or 2 for wrong arguments
 * @throws Failure when there is no update to be had; then nothing was changed
 */
export async function update(
  program: Program,
  variables: NodeJS.ProcessEnv,
  args: readonly string[],
  { key, version }: UpdateOptions = { key: RELEASE_KEY, version: VERSION },
): Promise<number> {
  const wanted = readArguments(args);
  if (wanted === undefined) {
    process.stderr.write(USAGE);
    return 2;
  }
  const { executable: own } = program;
  if (own === undefined) {
    throw new Failure(
      "unavailable",
      "this is a source checkout: update it with `git pull`, and start it again",
    );
  }
  // Images set it, as the Dockerfile here does.
  if (variables["container"]) {
    throw new Failure(
      "unavailable",
      "this Parley is part of a container image: get the new image instead, with Compose by " +
        "`docker compose build --pull && docker compose up -d`",
    );
  }
  const executable = await InstalledExecutable.at(own.path);
  if (wanted.rollback) {
    print(`${executable.path} is now version ${await executable.rollBack()}. ${AFTERWARDS}`);
    return 0;
  }
  if (key === undefined) {
    throw new Failure(
      "unavailable",
      "this build has no release key, so it cannot tell real releases from forged ones: download " +
        "the new version by hand",
    );
  }
  const release = await newestRelease({ url: wanted.from, key });
  const order = Bun.semver.order(release.version, version);
  if (order === 0) {
    print(`Parley ${version} is the newest version.`);
    return 0;
  }
  if (order < 0 && !wanted["allow-downgrade"]) {
    print(`Parley ${version} is newer than ${release.version}, which is published.`);
    return 0;
  }
  if (wanted.check) {
    print(`Parley ${release.version} can be installed with \`parley update\`; this is ${version}.`);
    return 0;
  }
  const { platform, variant } = own;
  const terminal = process.stderr.isTTY === true;
  const report = throttled(
    (text: string) => process.stderr.write(terminal ? `\r\x1b[K${text}` : `${text}\n`),
    terminal ? 100 : undefined,
  );
  await install(release, wanted.from, { executable, platform, variant }, (received, total) =>
    report(() => `${release.version}: ${formatBytes(received)} of ${formatBytes(total)}`),
  ).finally(() => terminal && process.stderr.write("\r\x1b[K"));
  print(`${executable.path} is now version ${release.version}. ${AFTERWARDS}`);
  return 0;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function readArguments(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        check: { type: "boolean", default: false },
        rollback: { type: "boolean", default: false },
        from: { type: "string", default: RELEASE_LIST_URL },
        "allow-downgrade": { type: "boolean", default: false },
      },
    });
    return URL.canParse(values.from) && !(values.rollback && args.length > 1) ? values : undefined;
  } catch {
    return undefined;
  }
}
