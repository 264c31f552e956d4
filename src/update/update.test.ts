import { afterEach, beforeEach, expect, test } from "bun:test";
import { generateKeyPairSync, sign } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { failureOf } from "../../test/failure-of.ts";
import { ModelServer } from "../../test/model-server.ts";
import { update } from "../cli/update.ts";
import { sourceResources } from "../resources.ts";

const { publicKey, privateKey } = generateKeyPairSync("ed25519");
const KEY = publicKey.export({ type: "spki", format: "pem" }).toString();
const DAY = 24 * 3_600_000;

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "parley-update-"));
  path = join(folder, "parley");
  writeFileSync(path, program("1.0.0"), { mode: 0o750 });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** An executable that says its version, as a release does. */
function program(version: string): Buffer {
  return Buffer.from(`#!/bin/sh\n[ "$1" = --version ] && echo ${version}\n`);
}

function sha256(bytes: Uint8Array): string {
  return new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
}

interface Published {
  version?: string;
  bytes?: Uint8Array;
  change?: (list: Record<string, unknown>) => void;
  signWith?: typeof privateKey;
  /** What is served in place of the signed list. */
  served?: Uint8Array;
}

/** A server with a signed list and the file that it names. */
function publish({
  version = "1.1.0",
  bytes = program(version),
  change = () => {},
  signWith = privateKey,
  served,
}: Published = {}) {
  const file = { platform: "linux-x64", variant: "full", name: "parley", url: "files/parley" };
  const list: Record<string, unknown> = {
    product: "parley",
    version,
    issued: new Date(Date.now() - DAY).toISOString(),
    expires: new Date(Date.now() + DAY).toISOString(),
    files: [{ ...file, sha256: sha256(bytes), size: bytes.length }],
  };
  change(list);
  const text = new TextEncoder().encode(JSON.stringify(list));
  return new ModelServer({
    files: {
      "releases.json": served ?? text,
      "releases.json.sig": sign(null, text, signWith),
      "files/parley": bytes,
    },
  });
}

/** Runs the command against a server, as version 1.0.0 for Linux. */
async function run(server: ModelServer | undefined, ...args: string[]) {
  const from = server ? ["--from", `${server.url}/releases.json`] : [];
  const executable = { path, platform: "linux-x64", variant: "full" as const };
  const own = { command: [path], resources: sourceResources(), executable };
  return update(own, {}, [...from, ...args], { key: KEY, version: "1.0.0" });
}

const versionNow = () => Bun.spawnSync([path, "--version"]).stdout.toString().trim();

/** Nothing but the executable of before. */
function expectUntouched(): void {
  expect(readdirSync(folder)).toEqual(["parley"]);
  expect(readFileSync(path, "utf8")).toBe(program("1.0.0").toString());
}

test("a newer version is put in place, the one before is kept, and both can be exchanged", async () => {
  await using server = publish();
  expect(await run(server)).toBe(0);
  expect(versionNow()).toBe("1.1.0");
  expect(readdirSync(folder).sort()).toEqual(["parley", "parley.old"]);
  expect(Bun.file(path).size).toBe(program("1.1.0").length);
  expect((await Bun.file(path).stat()).mode & 0o777).toBe(0o751);
  expect(await run(undefined, "--rollback")).toBe(0);
  expect(versionNow()).toBe("1.0.0");
  expect(await run(undefined, "--rollback")).toBe(0);
  expect(versionNow()).toBe("1.1.0");
});

test("--check changes nothing, and neither does a version that is not newer", async () => {
  await using newer = publish();
  expect(await run(newer, "--check")).toBe(0);
  await using same = publish({ version: "1.0.0" });
  expect(await run(same)).toBe(0);
  await using older = publish({ version: "0.9.0" });
  expect(await run(older)).toBe(0);
  await using preview = publish({ version: "1.0.0-rc.1" });
  expect(await run(preview)).toBe(0);
  expectUntouched();
  for (const server of [newer, same, older, preview]) {
    expect(server.requests).toEqual(["releases.json", "releases.json.sig"]);
  }
  expect(await run(older, "--allow-downgrade")).toBe(0);
  expect(versionNow()).toBe("0.9.0");
});

const other = generateKeyPairSync("ed25519").privateKey;
test.each<[what: string, published: Published, message: string]>([
  ["signed with another key", { signWith: other }, "not signed by Parley's release key"],
  ["changed", { served: Buffer.from("{}") }, "not signed by Parley's release key"],
  ["too large", { served: Buffer.alloc(300_000, " ") }, "too large"],
  [
    "expired",
    { change: (list) => (list["expires"] = new Date(Date.now() - 1000).toISOString()) },
    "expired on",
  ],
  [
    "from the future",
    { change: (list) => (list["issued"] = new Date(Date.now() + 3 * DAY).toISOString()) },
    "in the future",
  ],
  [
    "of another product",
    { change: (list) => (list["product"] = "other") },
    "not one that this version understands",
  ],
  ["without this platform", { change: (list) => (list["files"] = []) }, "no file of parley for"],
  [
    "with two files of this platform",
    { change: (list) => (list["files"] = [list["files"], list["files"]].flat()) },
    "several files",
  ],
])("a list that is %s changes nothing", async (_, published, message) => {
  await using server = publish(published);
  expect((await failureOf(run(server))).message).toContain(message);
  expectUntouched();
});

test("a file that is not the listed one is not kept, and not run", async () => {
  const marker = join(folder, "..", `parley-ran-${process.pid}`);
  const evil = Buffer.from(`#!/bin/sh\ntouch ${marker}\n`);
  await using server = publish({
    bytes: evil,
    change: (list) => {
      const [file] = list["files"] as Record<string, unknown>[];
      if (file) file["sha256"] = sha256(program("1.1.0"));
    },
  });
  expect((await failureOf(run(server))).message).toContain("wrong SHA-256");
  expect(existsSync(marker)).toBe(false);
  expectUntouched();
});

test.each([
  ["does not run here", Buffer.from("\x7fELF of another machine")],
  ["is another version than its list says", program("1.0.9")],
  ["fails", Buffer.from("#!/bin/sh\nexit 3\n")],
])("a signed file that %s is not put in place", async (_, bytes) => {
  await using server = publish({ bytes });
  expect((await failureOf(run(server))).message).toContain("nothing was changed");
  expectUntouched();
});

test("a download that broke off is resumed", async () => {
  const bytes = Buffer.concat([program("1.1.0"), Buffer.alloc(500_000, "#")]);
  await using server = publish({ bytes });
  // The list and its signature arrive whole.
  server.faults.push({ kind: "ignore range" }, { kind: "ignore range" });
  server.faults.push({ kind: "cut", after: 200_000 });
  expect(await run(server)).toBe(0);
  expect(server.requests.some((line) => /^files\/parley bytes=\d+-/.test(line))).toBe(true);
  expect(versionNow()).toBe("1.1.0");
});

test("addresses without HTTPS are refused, except on this machine", async () => {
  const message = (await failureOf(run(undefined, "--from", "http://192.0.2.1/releases.json")))
    .message;
  expect(message).toContain("not an https:// address");
  await using server = publish({
    change: (list) => {
      const [file] = list["files"] as Record<string, unknown>[];
      if (file) file["url"] = "http://192.0.2.1/parley";
    },
  });
  expect((await failureOf(run(server))).message).toContain("not an https:// address");
  expectUntouched();
});

test("what is not an executable, or has no key, says what to do", async () => {
  const source = { command: [], resources: sourceResources() };
  expect((await failureOf(update(source, {}, []))).message).toContain("git pull");
  const own = { ...source, executable: { path, platform: "linux-x64", variant: "full" as const } };
  expect((await failureOf(update(own, { container: "oci" }, []))).message).toContain("image");
  // No variable names another key.
  const variables = { RELEASE_KEY: KEY, PARLEY_RELEASE_KEY: KEY };
  await using server = publish();
  const from = ["--from", `${server.url}/releases.json`];
  const keyless = update(own, variables, from, { key: undefined, version: "1.0.0" });
  expect((await failureOf(keyless)).message).toContain("no release key");
  expect((await failureOf(run(undefined, "--rollback"))).message).toContain("no earlier version");
  expect(await update(own, {}, ["--rollback", "--check"])).toBe(2);
  expect(await update(own, {}, ["now"])).toBe(2);
  expectUntouched();
});
