#!/usr/bin/env node
// Runs one of Parley's scripts under the Bun it is made for: `node bootstrap.mjs script.ts [args]`.
//
// Whoever clones Parley has Node and npm; this file needs nothing else, gets Bun (an npm package)
// into `.tools/` and the dependencies into `node_modules/`, and says so only when that takes long.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { basename, delimiter, dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const BUN_VERSION = "1.4.5";
const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const TOOLS = join(ROOT, ".tools");
const BUN_STAMP = join(TOOLS, "bun.json");
const PACKAGES_STAMP = join(ROOT, "node_modules", ".parley-stamp");
const LOCK = join(TOOLS, "lock");
const LOCK_STALE_MS = 15_000;
const STILL_BUSY_MS = 10_000;
const PARENT_CHECK_MS = 250;
const IS_WINDOWS = process.platform === "win32";
const HINT_OFFLINE =
  "Is this machine online? Behind a proxy, `npm config set proxy URL` tells npm and the variables " +
  "HTTP_PROXY and HTTPS_PROXY tell Bun.";

/** An expected failure: its message is all the reader needs. */
class SetupError extends Error {}

try {
  const [script, ...args] = process.argv.slice(2);
  if (!script) throw new SetupError("usage: node scripts/bootstrap.mjs SCRIPT.ts [ARGS]");
  let bun = installedBun();
  if (!bun || !packagesAreCurrent()) {
    const release = await lock();
    try {
      bun = installedBun() ?? (await installBun());
      if (!packagesAreCurrent()) await installPackages(bun);
    } finally {
      release();
    }
  }
  run(bun, [script, ...args]);
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  say(error.message);
  process.exitCode = 1;
}

function say(message) {
  process.stderr.write(`parley: ${message}\n`);
}

/** The right Bun if this machine has it: the one that runs this file, on PATH, or in `.tools/`. */
function installedBun() {
  if (process.versions.bun === BUN_VERSION) return process.execPath;
  const onPath = findOnPath(IS_WINDOWS ? "bun.exe" : "bun");
  if (onPath && versionOf(onPath) === BUN_VERSION) return onPath;
  // The stamp is written when all is in place, so that it need not be run to know its version.
  const stamp = readJson(BUN_STAMP);
  return stamp?.version === BUN_VERSION && existsSync(stamp.path) ? stamp.path : undefined;
}

function findOnPath(name) {
  const folders = (process.env.PATH ?? "").split(delimiter).filter(Boolean);
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

function versionOf(bun) {
  const { status, stdout } = spawnSync(bun, ["--version"], { encoding: "utf8", timeout: 10_000 });
  return status === 0 ? stdout.trim() : undefined;
}

function readJson(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}

/** Installs the npm package `bun` and picks the binary of its that runs here. */
async function installBun() {
  mkdirSync(TOOLS, { recursive: true });
  // It anchors npm here; without it npm would climb to Parley's own package.json.
  writeFileSync(join(TOOLS, "package.json"), '{ "private": true }\n');
  const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"];
  const { command, args, shell } = npm();
  await runQuietly(
    `installing Bun ${BUN_VERSION} into .tools/ (once, about 40 MB)`,
    command,
    [...args, "install", ...flags, "--loglevel=error", "--prefix", TOOLS, `bun@${BUN_VERSION}`],
    { cwd: TOOLS, shell },
    `npm could not install bun@${BUN_VERSION}. ${HINT_OFFLINE} ` +
      `Or install Bun ${BUN_VERSION} yourself, so that \`bun\` is on PATH.`,
  );
  const path = platformBinary();
  writeAtomically(BUN_STAMP, JSON.stringify({ version: BUN_VERSION, path }));
  return path;
}

/** npm brings one package per platform, with variants for musl and for older processors. */
function platformBinary() {
  const folder = join(TOOLS, "node_modules", "@oven");
  const system = IS_WINDOWS ? "windows" : process.platform;
  const arch = process.arch === "arm64" ? "aarch64" : process.arch;
  const prefix = `bun-${system}-${arch}`;
  const packages = existsSync(folder) ? readdirSync(folder).sort() : [];
  for (const name of packages.filter((name) => name.startsWith(prefix))) {
    const path = join(folder, name, "bin", IS_WINDOWS ? "bun.exe" : "bun");
    if (existsSync(path) && versionOf(path) === BUN_VERSION) return path;
  }
  throw new SetupError(
    `there is no Bun ${BUN_VERSION} that runs on this machine (${process.platform} ` +
      `${process.arch}). Parley runs on Linux, macOS and Windows, x64 and arm64.`,
  );
}

/** How to call npm: as the npm that runs this, the one beside Node, or the one on PATH. */
function npm() {
  const folder = dirname(process.execPath);
  const beside = ["node_modules", join("..", "lib", "node_modules")].map((modules) =>
    join(folder, modules, "npm", "bin", "npm-cli.js"),
  );
  for (const cli of [process.env.npm_execpath ?? "", ...beside]) {
    if (basename(cli) === "npm-cli.js" && existsSync(cli)) {
      return { command: process.execPath, args: [cli], shell: false };
    }
  }
  // Windows runs .cmd files through its shell only.
  const name = IS_WINDOWS ? "npm.cmd" : "npm";
  if (findOnPath(name)) return { command: name, args: [], shell: IS_WINDOWS };
  throw new SetupError(
    `Bun ${BUN_VERSION} is missing and so is npm, which would install it. Install npm (it comes ` +
      `with Node), or Bun ${BUN_VERSION} itself, so that it is on PATH.`,
  );
}

/** What node_modules must fit: the lock file, the manifest, the platform, Bun. */
function packagesKey() {
  const hash = createHash("sha256");
  for (const name of ["package.json", "bun.lock"]) hash.update(readFileSync(join(ROOT, name)));
  return hash.update(`${BUN_VERSION} ${process.platform} ${process.arch}`).digest("hex");
}

function packagesAreCurrent() {
  try {
    return readFileSync(PACKAGES_STAMP, "utf8") === packagesKey();
  } catch {
    return false;
  }
}

async function installPackages(bun) {
  const key = packagesKey();
  await runQuietly(
    "installing the packages into node_modules/",
    bun,
    ["install", "--frozen-lockfile", "--no-progress"],
    { cwd: ROOT },
    `\`bun install --frozen-lockfile\` failed. ${HINT_OFFLINE}`,
  );
  writeAtomically(PACKAGES_STAMP, key);
}

function writeAtomically(path, text) {
  const aside = `${path}.${process.pid}`;
  writeFileSync(aside, text);
  renameSync(aside, path);
}

/** Runs a program whose output matters only if it fails. */
async function runQuietly(what, command, args, options, whenItFails) {
  say(`${what} …`);
  const startedAt = Date.now();
  const seconds = () => Math.round((Date.now() - startedAt) / 1000);
  const busy = setInterval(() => say(`still ${what} (${seconds()} s)`), STILL_BUSY_MS);
  try {
    const child = spawn(command, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8");
      stream.on("data", (text) => {
        output = (output + text).slice(-4000);
      });
    }
    const outcome = await new Promise((resolve) => {
      child.on("error", (error) => resolve(error.message));
      child.on("close", (code, signal) => resolve(code === 0 ? undefined : (signal ?? code)));
    });
    if (outcome !== undefined) {
      process.stderr.write(output);
      throw new SetupError(`${whenItFails} (${basename(command)} ended with ${outcome})`);
    }
    say(`done in ${seconds()} s`);
  } finally {
    clearInterval(busy);
  }
}

/** Lets one bootstrap at a time install. @returns the function that ends its turn */
async function lock() {
  mkdirSync(TOOLS, { recursive: true });
  for (let waited = false; ; waited = true) {
    try {
      const owner = JSON.stringify({ pid: process.pid, host: hostname() });
      writeFileSync(LOCK, owner, { flag: "wx" });
      const alive = setInterval(touchLock, 2000);
      return () => {
        clearInterval(alive);
        rmSync(LOCK, { force: true });
      };
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    if (isStale()) {
      // Renamed first: of several that find it stale, one gets it.
      const aside = `${LOCK}.${process.pid}`;
      try {
        renameSync(LOCK, aside);
      } catch {}
      rmSync(aside, { force: true });
      continue;
    }
    if (!waited) say("waiting for another set-up of this folder to finish");
    await delay(100);
  }
}

function touchLock() {
  try {
    utimesSync(LOCK, new Date(), new Date());
  } catch {
    // Gone with its folder; nothing is left to guard.
  }
}

function isStale() {
  try {
    if (Date.now() - statSync(LOCK).mtimeMs > LOCK_STALE_MS) return true;
    const owner = readJson(LOCK);
    if (typeof owner?.pid !== "number" || owner.host !== hostname()) return false;
    process.kill(owner.pid, 0);
    return false;
  } catch (error) {
    return error.code === "ESRCH";
  }
}

/** Runs the script in this process's place: its stdio, signals, exit code and end. */
function run(bun, args) {
  const child = spawn(bun, args, { cwd: ROOT, stdio: "inherit" });
  const inTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => {
      // A terminal sends Ctrl-C to the child as well; a second one would mean "at once".
      if (signal === "SIGTERM" || !inTerminal) child.kill(signal);
    });
  }
  if (!IS_WINDOWS && process.env.npm_lifecycle_event) stopWithParent(child);
  child.on("error", (error) => {
    say(`${bun} does not run: ${error.message}. Delete .tools/ and try again.`);
    process.exit(1);
  });
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
    // Signals that a process survives by default, and Windows.
    setTimeout(() => process.exit(1), 100);
  });
}

/**
 * npm runs its scripts in a shell, and passes a signal on to that shell only: it dies, and Parley
 * would run on without anybody who knows. Losing the parent is the sign of it.
 */
function stopWithParent(child) {
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watch);
    child.kill("SIGTERM");
  }, PARENT_CHECK_MS);
  watch.unref();
}
