import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { Failure } from "../errors.ts";
import { startOf } from "../lib/is-running.ts";
import type { PackedBundle } from "./contents.ts";
import { unpack } from "./unpack.ts";

/** More than one chunk, and not a multiple of it. */
const LARGE = Buffer.alloc(3_500_001, "Parley");
/** Marks that this process uses a folder. */
const MARK = expect.stringMatching(new RegExp(`^\\.used-${process.pid}-s\\d+$`));

let folder: string;
let root: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "parley-unpack-"));
  root = join(folder, "deep", "cache");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function sha256(bytes: Uint8Array | string): string {
  return new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
}

function bundleOf(files: Record<string, Uint8Array>): PackedBundle {
  const packed = Object.entries(files).map(([name, bytes]) => {
    const path = join(folder, `${name}.zst`);
    writeFileSync(path, Bun.zstdCompressSync(new Uint8Array(bytes)));
    return { name, size: bytes.length, sha256: sha256(bytes), packed: path };
  });
  return { name: "speech", hash: sha256(JSON.stringify(packed)), files: packed };
}

async function failureOf(bundle: PackedBundle): Promise<string> {
  const error = await unpack(bundle, root).catch((error: unknown) => error);
  if (!(error instanceof Failure)) throw new Error(`no Failure: ${error}`);
  return error.message;
}

test("files of any size are unpacked unchanged", async () => {
  const files = { large: LARGE, small: Buffer.from("x"), empty: Buffer.alloc(0) };
  const path = await unpack(bundleOf(files), root);
  for (const [name, bytes] of Object.entries(files)) {
    expect(sha256(readFileSync(join(path, name)))).toBe(sha256(bytes));
  }
  expect(statSync(path).mode & 0o777).toBe(0o700);
  expect(statSync(root).mode & 0o777).toBe(0o700);
});

test("ten at once make one complete copy and leave nothing else", async () => {
  const bundle = bundleOf({ large: LARGE });
  const paths = await Promise.all(Array.from({ length: 10 }, () => unpack(bundle, root)));
  expect(new Set(paths).size).toBe(1);
  expect(readdirSync(paths[0] ?? "").sort()).toEqual([MARK, "large"]);
});

test("the contents of the executable are verified before they are used", async () => {
  const bundle = bundleOf({ large: LARGE });
  const files = bundle.files.map((file) => ({ ...file, sha256: sha256("something else") }));
  expect(await failureOf({ ...bundle, files })).toBe(
    "large inside this executable is damaged: download it again",
  );
  const [made] = readdirSync(root);
  expect(readdirSync(join(root, made ?? ""))).toEqual([MARK]);
});

test("broken compressed data is an error, and does not hang", async () => {
  const bundle = bundleOf({ large: LARGE });
  const [file] = bundle.files;
  if (!file) throw new Error("no file");
  writeFileSync(file.packed, "not zstd at all");
  expect(await failureOf(bundle)).toContain(`native libraries to ${root}, but `);
});

test("a link in place of the folder is refused", async () => {
  const bundle = bundleOf({ large: LARGE });
  const path = await unpack(bundle, root);
  rmSync(path, { recursive: true });
  mkdirSync(join(folder, "elsewhere"));
  symlinkSync(join(folder, "elsewhere"), path);
  expect(await failureOf(bundle)).toContain(`${path} belongs to another user`);
  expect(readdirSync(join(folder, "elsewhere"))).toEqual([]);
});

test("a folder that others may write to is made private", async () => {
  const bundle = bundleOf({ large: LARGE });
  const path = await unpack(bundle, root);
  chmodSync(path, 0o777);
  await unpack(bundle, root);
  expect(statSync(path).mode & 0o777).toBe(0o700);
});

test("a file in place of the cache folder is an error", async () => {
  mkdirSync(join(root, ".."), { recursive: true });
  writeFileSync(root, "");
  expect(await failureOf(bundleOf({ large: LARGE }))).toEndWith(
    "Set PARLEY_CACHE_DIR to another folder",
  );
});

test("another version is removed, also where every Parley has this PID, as in a container", async () => {
  const old = await unpack(bundleOf({ large: LARGE }), root);
  writeFileSync(join(old, `.used-${process.pid}-s1`), "");
  writeFileSync(join(old, `.tmp-${process.pid}-s1-1234-large`), "");
  const path = await unpack(bundleOf({ small: Buffer.from("new") }), root);
  expect(readdirSync(root)).toEqual([basename(path)]);
});

test("a version that another process uses stays until that process has exited", async () => {
  const old = await unpack(bundleOf({ large: LARGE }), root);
  await using other = Bun.spawn(["sleep", "60"]);
  const newer = bundleOf({ small: Buffer.from("new") });
  for (const mark of [`.used-${other.pid}`, `.used-${other.pid}-s${startOf(other.pid)}`]) {
    writeFileSync(join(old, mark), "");
    await unpack(newer, root);
    expect(existsSync(old)).toBe(true);
    rmSync(join(old, mark));
  }
  // The PID is taken, but by a process that started later.
  writeFileSync(join(old, `.used-${other.pid}-s1`), "");
  await unpack(newer, root);
  expect(existsSync(old)).toBe(false);
});

test("the marks of processes that have exited do not pile up", async () => {
  const bundle = bundleOf({ large: LARGE });
  const path = await unpack(bundle, root);
  const dead = Bun.spawnSync(["true"]).pid;
  for (const mark of [`.used-${dead}`, `.used-${dead}-s7`, `.used-${process.pid}-s1`]) {
    writeFileSync(join(path, mark), "");
  }
  await unpack(bundle, root);
  expect(readdirSync(path).sort()).toEqual([MARK, "large"]);
});
