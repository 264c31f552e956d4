import { expect, test } from "bun:test";
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { join, relative } from "node:path";
import { temporaryFolder } from "../../test/database.ts";
import { Failure, messageOf } from "../errors.ts";
import { assertUnused, lockDatabase } from "./process-lock.ts";

const MODULE = join(import.meta.dir, "process-lock.ts");
/** Takes the lock, says so or why not, and keeps it until its input ends. */
const HOLDER = `
  import { lockDatabase } from ${JSON.stringify(MODULE)};
  try {
    using lock = lockDatabase(process.argv[1]);
    if (process.argv[2]) lock.announce(process.argv[2]);
    console.log("has it");
    for await (const _ of Bun.stdin.stream());
  } catch (error) { console.log(error.message); }`;

class Holder implements AsyncDisposable {
  readonly process: Bun.Subprocess<"pipe", "pipe", "inherit">;

  constructor(path: string, url = "") {
    const command = [process.execPath, "-e", HOLDER, path, url];
    this.process = Bun.spawn(command, { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
  }

  /** What it says first. */
  async says(): Promise<string> {
    const { value } = await this.process.stdout.getReader().read();
    return new TextDecoder().decode(value).trimEnd();
  }

  async kill(): Promise<void> {
    this.process.kill("SIGKILL");
    await this.process.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

function refusal(path: string): string {
  try {
    lockDatabase(path)[Symbol.dispose]();
  } catch (error) {
    if (error instanceof Failure && error.kind === "conflict") return error.message;
    throw error;
  }
  return "none";
}

/** Names, contents and times of all files below a folder. */
function stateOf(folder: string): unknown {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .sort()
    .map((name) => {
      const stat = statSync(join(folder, name));
      const content = stat.isFile() ? readFileSync(join(folder, name), "utf8") : "";
      return [name, stat.mtimeMs, stat.size, content];
    });
}

test("a second process is refused with who has it and where, and changes nothing", async () => {
  using folder = temporaryFolder();
  const path = join(folder.path, "parley.db");
  await using holder = new Holder(path, "http://127.0.0.1:7000");
  expect(await holder.says()).toBe("has it");
  const before = stateOf(folder.path);
  await using second = new Holder(path);
  expect(await second.says()).toBe(
    `${path} is in use. Parley runs already as process ${holder.process.pid} at http://127.0.0.1:7000: stop it first, or set DATA_DIR to another folder.`,
  );
  expect(() => assertUnused(path)).toThrow("is in use");
  expect(stateOf(folder.path)).toEqual(before);
});

test("kill -9 frees it, and the note of a process that is gone is not believed", async () => {
  using folder = temporaryFolder();
  const path = join(folder.path, "parley.db");
  const holder = new Holder(path, "http://127.0.0.1:7000");
  expect(await holder.says()).toBe("has it");
  await holder.kill();
  const note = readFileSync(`${path}-process`, "utf8");
  {
    using _lock = lockDatabase(path);
    expect(JSON.parse(readFileSync(`${path}-process`, "utf8"))).toEqual({
      pid: process.pid,
      host: hostname(),
    });
    writeFileSync(`${path}-process`, note);
    await using second = new Holder(path);
    expect(await second.says()).toContain("Another process has it: stop it first");
  }
  expect(refusal(path)).toBe("none");
  expect(readdirSync(folder.path)).toEqual(["parley.db-lock"]);
});

test("of many that start at the same instant one has it", async () => {
  using folder = temporaryFolder();
  const path = join(folder.path, "new/parley.db");
  const all = Array.from({ length: 6 }, () => new Holder(path));
  const said = await Promise.all(all.map((holder) => holder.says()));
  await Promise.all(all.map((holder) => holder.kill()));
  expect(said.filter((words) => words === "has it")).toHaveLength(1);
  expect(said.filter((words) => words.includes("is in use"))).toHaveLength(5);
});

test("a database is the same by whichever link or path, and another is another", async () => {
  using folder = temporaryFolder();
  const real = join(folder.path, "real");
  mkdirSync(real);
  const path = join(real, "parley.db");
  symlinkSync(real, join(folder.path, "link"));
  symlinkSync(path, join(folder.path, "other.db"));
  await using holder = new Holder(join(folder.path, "other.db"));
  expect(await holder.says()).toBe("has it");
  const names = [
    path,
    join(folder.path, "other.db"),
    join(folder.path, "link/parley.db"),
    relative(process.cwd(), path),
    join(real, "../real/./parley.db"),
  ];
  for (const name of names) expect(refusal(name)).toContain(`${name} is in use`);
  expect(refusal(join(folder.path, "parley.db"))).toBe("none");
});

test("a place that takes no file says so in one line", () => {
  for (const path of ["/proc/parley/parley.db", join(import.meta.path, "parley.db")]) {
    let message = "";
    try {
      lockDatabase(path);
    } catch (error) {
      message = messageOf(error);
    }
    expect(message).toMatch(/^[^\n]+ cannot be (written|opened)[^\n]+$/);
  }
});
