import { beforeAll, expect, test } from "bun:test";
import { readdirSync, statSync, truncateSync } from "node:fs";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { executable, Machine, until } from "./machine.ts";

let built: string;
beforeAll(async () => {
  built = await executable();
});

/** Every unpacked file with its SHA-256. */
async function contents(machine: Machine): Promise<Record<string, string>> {
  const hashes = machine.unpacked().map(async (path) => {
    const bytes = await Bun.file(join(machine.cache, path)).bytes();
    return [path, new Bun.CryptoHasher("sha256").update(bytes).digest("hex")] as const;
  });
  return Object.fromEntries(await Promise.all(hashes));
}

test("everything that is unpacked is private, and a warm start changes nothing", async () => {
  await using machine = await Machine.with(built);
  const times = () =>
    machine.unpacked().map((path) => [path, statSync(join(machine.cache, path)).mtimeMs]);
  await using first = await machine.start();
  await first.ready();
  const before = times();
  expect(before).toHaveLength(6);
  for (const path of ["", ...machine.unpacked(), ...readdirSync(machine.cache)]) {
    expect({ path, mode: statSync(join(machine.cache, path)).mode & 0o777 }).toEqual({
      path,
      mode: 0o700,
    });
  }
  await first.stop();
  await using second = await machine.start();
  await second.ready();
  expect(times()).toEqual(before);
});

test("killed while it unpacks, the next start is clean", async () => {
  await using machine = await Machine.with(built);
  const child = Bun.spawn([machine.parley], {
    cwd: machine.home,
    stdio: ["ignore", "ignore", "ignore"],
    env: { ...machine.environment, PORT: "0" },
  });
  await until(() => machine.unpacked().some((path) => path.includes("livekit-server")));
  child.kill("SIGKILL");
  await child.exited;
  const left = machine.unpacked();
  expect(left.filter((path) => /\.tmp-\d+-.*livekit-server$/.test(path))).toHaveLength(1);
  await using parley = await machine.start();
  await parley.ready();
  expect(machine.unpacked().filter((path) => path.includes(".tmp-"))).toEqual([]);
  expect(machine.unpacked()).toHaveLength(6);
});

test("two first starts at once both get whole files", async () => {
  await using machine = await Machine.with(built);
  await using running = new AsyncDisposableStack();
  const start = async (name: string) => {
    const parley = await machine.start({ DATA_DIR: join(machine.home, name) });
    await running.use(parley).ready();
  };
  await Promise.all([start("one"), start("two")]);
  const together = await contents(machine);
  await using other = await Machine.with(built);
  await using alone = await other.start();
  await alone.ready();
  expect(together).toEqual(await contents(other));
});

test("a damaged file is made anew, and what nobody uses any more is removed", async () => {
  await using machine = await Machine.with(built);
  await using first = await machine.start();
  await first.ready();
  const whole = await contents(machine);
  await first.stop();
  const library = machine.unpacked().find((path) => path.endsWith("rtc-node.node")) ?? "";
  truncateSync(join(machine.cache, library), 1000);
  const dead = Bun.spawnSync(["true"]).pid;
  for (const [name, user] of [
    ["speech-0000000000000000", dead],
    ["speech-1111111111111111", process.pid],
    ["livekit-v1.13.5", dead],
  ] as const) {
    await mkdir(join(machine.cache, name));
    await writeFile(join(machine.cache, name, `.used-${user}`), "");
  }
  await using second = await machine.start();
  await second.ready();
  expect(await contents(machine)).toEqual(whole);
  const folders = (await readdir(machine.cache)).map((name) => name.replace(/-[2-9a-f].*/, ""));
  expect(folders).not.toContain("speech-0000000000000000");
  expect(folders).toContain("speech-1111111111111111");
  expect(folders).toContain("livekit-v1.13.5");
});

/** The start with a file system of its own as cache, which only this process sees. */
async function startOn(machine: Machine, options: string) {
  const place = join(machine.folder, "place");
  await mkdir(place);
  const script = `mount -t tmpfs -o ${options} tmpfs "$PARLEY_CACHE_DIR" && exec "$0"`;
  const command = ["/usr/bin/unshare", "--map-root-user", "--mount", "/bin/sh", "-c", script];
  const env = { PARLEY_CACHE_DIR: place, PATH: "/usr/bin:/bin", PORT: "0" };
  const { code, err } = await machine.run([], env, [...command, machine.parley]);
  return { code, err: err.replace(place, "CACHE") };
}

test.each([
  ["ro", "that file system is read-only"],
  ["size=1m", "the disk is full"],
  ["noexec", "programs may not run from there (noexec)"],
])("a cache folder that is mounted %s ends the start with what to do", async (options, why) => {
  await using machine = await Machine.with(built);
  expect(await startOn(machine, options)).toEqual({
    code: 1,
    err:
      `parley: Parley unpacks its native libraries to CACHE, but ${why}. ` +
      "Set PARLEY_CACHE_DIR to another folder\n",
  });
});
