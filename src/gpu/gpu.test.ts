import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { failureOf } from "../../test/failure-of.ts";
import { ModelServer } from "../../test/model-server.ts";
import { childEnvironment } from "../lib/child-environment.ts";
import { fetchBuild, folderOf } from "./fetch-build.ts";
import { buildFor, GPU_BUILD_VERSION, type GpuBuild } from "./gpu-builds.ts";
import { decideGpu, GpuStatus } from "./gpu-support.ts";
import { probeGpu } from "./probe-build.ts";

let cache: string;
beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), "parley-gpu-"));
});
afterEach(() => rmSync(cache, { recursive: true, force: true }));

const { PATH = "/usr/bin:/bin" } = Bun.env;
const shell = (script: string) => ["/bin/sh", "-c", script];
const works = shell(`echo '{"devices":["Radeon 780M"]}'`);

/** A registry with a package of each name. */
async function registry(names: readonly string[]) {
  const archives: GpuBuild["archives"][number][] = [];
  const files: Record<string, Uint8Array> = {};
  for (const name of names) {
    const library = name.endsWith("-ext") ? "fallback/libggml-cuda.so" : "llama-addon.node";
    const bytes = await new Bun.Archive({ [`package/bins/some-gpu/${library}`]: name }).bytes();
    const sha256 = new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
    archives.push({ name, bytes: bytes.length, sha256 });
    files[`@node-llama-cpp/${name}/-/${name}-${GPU_BUILD_VERSION}.tgz`] = bytes;
  }
  const build: GpuBuild = { gpu: "vulkan", folder: "some-gpu", archives };
  return { build, server: new ModelServer({ files }) };
}

test("the builds are of the version of node-llama-cpp whose code loads them", () => {
  expect(GPU_BUILD_VERSION).toBe(manifest.dependencies["node-llama-cpp"]);
});

test("auto is Vulkan, and where there is no build there is none", () => {
  expect(buildFor("auto", "linux-x64")).toBe(buildFor("vulkan", "linux-x64"));
  expect(buildFor("cuda", "win32-x64")?.archives).toHaveLength(2);
  for (const machine of ["linux-arm64", "darwin-arm64", "win32-arm64"]) {
    expect(buildFor("auto", machine)).toBeUndefined();
  }
  expect(buildFor("metal", "linux-x64")).toBeUndefined();
});

test("a build of several packages is unpacked to one folder, once, and replaces an older one", async () => {
  const { build, server: opened } = await registry(["some-gpu", "some-gpu-ext"]);
  await using server = opened;
  mkdirSync(join(cache, "gpu-some-gpu-1.0.0"));
  const options = { cache, registry: `${server.url}/` };
  const folders = await Promise.all([fetchBuild(build, options), fetchBuild(build, options)]);
  expect(folders).toEqual([folderOf(build, cache), folderOf(build, cache)]);
  expect(readdirSync(folders[0] ?? "").sort()).toEqual(["fallback", "llama-addon.node"]);
  expect(readdirSync(cache)).toEqual([`gpu-some-gpu-${GPU_BUILD_VERSION}`]);
  expect(server.requests).toHaveLength(2);
});

test("a package that is not the pinned one is not unpacked", async () => {
  const { build, server: opened } = await registry(["some-gpu"]);
  await using server = opened;
  server.faults.push({ kind: "damage" });
  const failure = await failureOf(fetchBuild(build, { cache, registry: server.url }));
  expect(failure.message).toContain("wrong SHA-256");
  expect(existsSync(folderOf(build, cache))).toBe(false);
});

test.each<[what: string, command: string[], problem: string]>([
  ["that finds nothing", shell(`echo '{"devices":[]}'`), "no device was found"],
  ["whose driver crashes", shell("kill -SEGV $$"), "its driver crashed (SIGSEGV)"],
  ["whose driver hangs", ["sleep", "60"], "its driver did not answer within 0.2 s"],
  ["that fails", shell("echo 'libcuda.so.1 is missing' >&2; exit 1"), "libcuda.so.1 is missing"],
  ["that says nothing", ["true"], "the probe gave no report"],
  ["that cannot start", ["/nonexistent/parley"], "the probe cannot be started"],
  [
    "that finds a driver for the processor",
    shell(`echo '{"devices":["llvmpipe (LLVM 15.0.6, 256 bits)"]}'`),
    "llvmpipe (LLVM 15.0.6, 256 bits), which computes on the processor",
  ],
])("a probe %s gives the reason", async (_, command, problem) => {
  const timeoutMs = command[0] === "sleep" ? 200 : 10_000;
  expect(await probeGpu(command, { folder: cache, environment: { PATH }, timeoutMs })).toEqual({
    problem: expect.stringContaining(problem),
  });
});

test("a probe that works names its devices, whatever its libraries print before", async () => {
  const noisy = shell(`echo loading; echo warning >&2; echo '{"devices":["A","llvmpipe"]}'`);
  expect(await probeGpu(noisy, { folder: cache, environment: { PATH } })).toEqual({
    devices: ["A"],
  });
});

test("a probe gets none of Parley's keys, and does not start in its folder", async () => {
  const tells = shell(`echo "{\\"devices\\":[\\"$OPENAI_API_KEY at $PWD\\"]}"`);
  const environment = childEnvironment({ PATH, OPENAI_API_KEY: "sk-secret" });
  const probe = await probeGpu(tells, { folder: cache, environment });
  expect(probe).toEqual({ devices: [` at ${cache}`] });
});

/** Puts a build into the cache as `fetchBuild` does. */
function fetched(): string {
  const build = buildFor("vulkan", "linux-x64");
  if (!build) throw new Error("there is no build");
  const folder = folderOf(build, cache);
  mkdirSync(folder);
  writeFileSync(join(folder, "llama-addon.node"), "");
  return folder;
}

test("a GPU is used if its build works, and the processor otherwise, with the reason", async () => {
  const machine = "linux-x64";
  const decide = (probe: string[], choice: "off" | "auto" | "vulkan" | "metal" = "auto") =>
    decideGpu({ choice, cache, machine, environment: { PATH }, probeCommand: () => probe });
  expect(await decide(works)).toMatchObject({
    use: false,
    isFallback: true,
    text: expect.stringContaining("the Vulkan build (27 MB) is not downloaded"),
  });
  const folder = fetched();
  expect(await decide(works)).toEqual({
    use: "vulkan",
    folder,
    text: "Language models use the GPU: Radeon 780M (Vulkan).",
    isFallback: false,
  });
  expect(await decide(shell("kill -ABRT $$"), "vulkan")).toEqual({
    use: false,
    folder: undefined,
    text: "Language models use the processor: Vulkan does not work here: its driver crashed (SIGABRT).",
    isFallback: true,
  });
  expect(await decide(works, "off")).toMatchObject({ use: false, isFallback: false });
  expect((await decide(works, "metal")).text).toContain("there is no metal build for linux-x64");
});

test("the status tells of the download, and why it failed", async () => {
  await using server = new ModelServer({ files: {} });
  const probeCommand = () => works;
  const options = {
    choice: "auto" as const,
    cache,
    machine: "linux-x64",
    environment: { PATH },
    probeCommand,
  };
  {
    await using status = new GpuStatus({ ...options, registry: server.url });
    expect(status.text).toContain("while the Vulkan build is downloaded (0 kB of 27 MB)");
    await status.settled;
    expect(status.text).toContain("could not be had");
    expect(status.text).toContain("404");
  }
  fetched();
  await using status = new GpuStatus({ ...options, registry: server.url });
  await status.settled;
  expect(status.text).toBe("Language models use the GPU: Radeon 780M (Vulkan).");
});

test("a stop does not wait for a driver that hangs", async () => {
  fetched();
  const probeCommand = () => ["sleep", "60"];
  const status = new GpuStatus({
    choice: "auto",
    cache,
    machine: "linux-x64",
    environment: { PATH },
    probeCommand,
  });
  await Promise.resolve();
  await status[Symbol.asyncDispose]();
}, 10_000);
