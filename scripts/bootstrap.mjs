#!/usr/bin/env node
// Runs one of Parley's scripts with the right version of Bun: `node bootstrap.mjs script.ts [args]`.
//
// This file only needs Node and npm. It installs Bun (an npm package) into `.tools/` and the
// dependencies into `node_modules/`, and prints nothing if both are there. It cannot share code with
// the rest of Parley, which needs Bun.
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
/**
 * The hashes of Bun's packages, by the names of @oven's packages on npm, which a forged registry could
 * replace. A new version needs new ones: `npm view @oven/NAME@VERSION dist.integrity`.
 */
const BUN_PACKAGES = {
  "bun-linux-x64":
    "sha512-IWX9BELoGHAUtMonkeSaNaZwXzRk+oDw6Mk+HBFXd3KHYIBNBsIGRupMZPcgNoDbJpLu6gAJjIoIVPZtt1aJ1g==",
  "bun-linux-aarch64":
    "sha512-4BXmsSKnjOrlGWqZV4x/oWa7AVoR+B6lCXddMzOAXBIm3t50eslg9wb66gmtW1AamEQ1l1CDvmmruysEhqOWMg==",
  "bun-linux-x64-baseline":
    "sha512-s8yMwYcFnnrA178gji0gZbkE2WVDej/Ti1x770oPfihxyRxSMNhGhiAQNXV53aDeraZxksdvKV/RAdQBCd0qPA==",
  "bun-linux-x64-musl":
    "sha512-10QoW/YfTgnURaGEaHpJCiXjLI2e5iTtfVDaA5JKcyUzaa1cq6cVUY9/Uq5XkYzvtRjHLRe9Oj/lTDIQcxy8HQ==",
  "bun-linux-x64-musl-baseline":
    "sha512-cWJhU8h0+MiUgpSt99sQhjxLIIosKEcKYdtKddohokUvAuN6jKOy7g7+QDTZTXtwHxz93wL3BX+L6wXVPDUH3A==",
  "bun-linux-aarch64-musl":
    "sha512-XCNc+WvvMAdNNb+OWTogpy+N9wm62fkVeEVLb6how0RZhW5LPi6c7BlkeVCuWps7XjEl2saFpHFa20/1E+PAHg==",
  "bun-darwin-aarch64":
    "sha512-4MIFXHmctH2EhAxLXm2/qxNtv17dFtLJylvaOCsrgq6KSqHTs6eW5YSrJjRbJxYUJaR901fsN8JfZOa+CsWpWQ==",
  "bun-darwin-x64":
    "sha512-qkLPMGHZM9NI6CeHTWwVezzmlo6cC4Ta7yUAjYIWXS366qQcOlcp75t2uZyiuVRBMPS0h9qE0tCcvCHGaFqjJg==",
  "bun-darwin-x64-baseline":
    "sha512-zqfLA5A4B+hYMh5WYzYSot3uZ06FzhdP0OEwQisEzdirYtXGj5cQFlfy31BGfNsAsk1Gd/w/OxJ/jqqJ3cMclw==",
  "bun-windows-x64":
    "sha512-FNvply651vcE/GHgNWz6mZvhmkwBuu8Hw54oNzA+CQog+HW+542rXQmZqNHRkFxazD9L3xi+iTtvO3engAgJfw==",
  "bun-windows-x64-baseline":
    "sha512-/U3Dc74uGqE6EUqef7mPtg9KwJs7iJH4JHRMfIZIn18MrJh6Xz4gVvWDXRvzCL2j8wPlTnJVyrO4n7Qq4uM7TQ==",
  "bun-windows-aarch64":
    "sha512-MiPFZnBNDnBXgr1oONc5pizC4fOLjnIOfNkYdFEnWzLmoFTg86naZIG3SvS7d/GglpQSAnCKMAzSjI/TAckiRw==",
};
const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const TOOLS = join(ROOT, ".tools");
const BUN_STAMP = join(TOOLS, "bun.json");
const PACKAGES_STAMP = join(ROOT, "node_modules", ".parley-stamp");
const LOCK = join(TOOLS, "lock");
const LOCK_STALE_MS = 15_000;
const STILL_BUSY_MS = 10_000;
const PARENT_CHECK_MS = 250;
const IS_WINDOWS = process.platform === "win32";
const OFFLINE_HINT =
  "Is this machine online? Behind a proxy, run `npm config set proxy URL` for npm and set " +
  "HTTP_PROXY and HTTPS_PROXY for Bun.";

/** An expected failure, which is printed without a stack trace. */
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

/** The path of the right Bun, if there is one: running this file, on PATH, or in `.tools/`. */
function installedBun() {
  if (process.versions.bun === BUN_VERSION) return process.execPath;
  const onPath = findOnPath(IS_WINDOWS ? "bun.exe" : "bun");
  if (onPath && versionOf(onPath) === BUN_VERSION) return onPath;
  // The stamp is written last, so the version is known without running this Bun.
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

/** Installs the npm package `bun`. @returns the path of the binary that runs on this machine */
async function installBun() {
  mkdirSync(TOOLS, { recursive: true });
  // Without a package.json here, npm would use that of Parley.
  writeFileSync(join(TOOLS, "package.json"), '{ "private": true }\n');
  const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"];
  const { command, args, shell } = npm();
  await runQuietly(
    `installing Bun ${BUN_VERSION} into .tools/ (once, about 40 MB)`,
    command,
    [...args, "install", ...flags, "--loglevel=error", "--prefix", TOOLS, `bun@${BUN_VERSION}`],
    { cwd: TOOLS, shell },
    `npm could not install bun@${BUN_VERSION}. ${OFFLINE_HINT} ` +
      `Or install Bun ${BUN_VERSION} yourself and put \`bun\` on PATH.`,
  );
  const path = platformBinary();
  writeAtomically(BUN_STAMP, JSON.stringify({ version: BUN_VERSION, path }));
  return path;
}

/** npm installs one package per platform, with variants for musl and for older processors. */
function platformBinary() {
  const folder = join(TOOLS, "node_modules", "@oven");
  const system = IS_WINDOWS ? "windows" : process.platform;
  const arch = process.arch === "arm64" ? "aarch64" : process.arch;
  const prefix = `bun-${system}-${arch}`;
  const packages = existsSync(folder) ? readdirSync(folder).sort() : [];
  const installed = readJson(join(TOOLS, "node_modules", ".package-lock.json"))?.packages ?? {};
  for (const name of packages.filter((name) => name.startsWith(prefix))) {
    // npm has compared the archive with the hash that the registry named; this is the right hash.
    if (installed[`node_modules/@oven/${name}`]?.integrity !== BUN_PACKAGES[name]) {
      throw new SetupError(`the registry's @oven/${name}@${BUN_VERSION} is not the published one.`);
    }
    const path = join(folder, name, "bin", IS_WINDOWS ? "bun.exe" : "bun");
    if (existsSync(path) && versionOf(path) === BUN_VERSION) return path;
  }
  throw new SetupError(
    `there is no Bun ${BUN_VERSION} that runs on this machine (${process.platform} ` +
      `${process.arch}). Parley runs on Linux, macOS and Windows, x64 and arm64.`,
  );
}

/** How to run npm: the npm that runs this file, the one next to Node, or the one on PATH. */
function npm() {
  const folder = dirname(process.execPath);
  const nextToNode = ["node_modules", join("..", "lib", "node_modules")].map((modules) =>
    join(folder, modules, "npm", "bin", "npm-cli.js"),
  );
  for (const cli of [process.env.npm_execpath ?? "", ...nextToNode]) {
    if (basename(cli) === "npm-cli.js" && existsSync(cli)) {
      return { command: process.execPath, args: [cli], shell: false };
    }
  }
  // Windows only runs .cmd files through its shell.
  const name = IS_WINDOWS ? "npm.cmd" : "npm";
  if (findOnPath(name)) return { command: name, args: [], shell: IS_WINDOWS };
  throw new SetupError(
    `Bun ${BUN_VERSION} is missing, and so is npm, which would install it. Install npm (it comes ` +
      `with Node), or install Bun ${BUN_VERSION} and put it on PATH.`,
  );
}

/** Identifies what node_modules depends on: the manifest, the lock file, Bun and the platform. */
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
    `\`bun install --frozen-lockfile\` failed. ${OFFLINE_HINT}`,
  );
  writeAtomically(PACKAGES_STAMP, key);
}

function writeAtomically(path, text) {
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, text);
  renameSync(temporary, path);
}

/** Runs a program and prints its output only if it fails. */
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

/** Waits until no other process installs, and takes the lock. @returns a function that releases it */
async function lock() {
  mkdirSync(TOOLS, { recursive: true });
  for (let waited = false; ; waited = true) {
    try {
      const owner = JSON.stringify({ pid: process.pid, host: hostname() });
      writeFileSync(LOCK, owner, { flag: "wx" });
      const refresh = setInterval(touchLock, 2000);
      return () => {
        clearInterval(refresh);
        rmSync(LOCK, { force: true });
      };
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    if (isStale()) {
      // Renamed first, so that only one of several processes removes it.
      const stale = `${LOCK}.${process.pid}`;
      try {
        renameSync(LOCK, stale);
      } catch {}
      rmSync(stale, { force: true });
      continue;
    }
    if (!waited) say("waiting for another installation in this folder to finish");
    await delay(100);
  }
}

function touchLock() {
  try {
    utimesSync(LOCK, new Date(), new Date());
  } catch {
    // The folder was deleted, so there is nothing left to protect.
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

/** Runs the script with this process's stdio, forwards signals, and exits as the script does. */
function run(bun, args) {
  const child = spawn(bun, args, { cwd: ROOT, stdio: "inherit" });
  const inTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => {
      // A terminal sends Ctrl-C to the child itself, and a second one would kill it at once.
      if (signal === "SIGTERM" || !inTerminal) child.kill(signal);
    });
  }
  if (!IS_WINDOWS && process.env.npm_lifecycle_event) stopWithParent(child);
  child.on("error", (error) => {
    say(`${bun} cannot be run: ${error.message}. Delete .tools/ and try again.`);
    process.exit(1);
  });
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
    // For signals that do not end a process by default, and for Windows.
    setTimeout(() => process.exit(1), 100);
  });
}

/**
 * Stops the child when the parent process exits. npm runs its scripts in a shell and forwards signals
 * only to that shell, so Parley would otherwise keep running after the shell is gone.
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
