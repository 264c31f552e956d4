import { expect, test } from "bun:test";
import { join } from "node:path";
import { z } from "zod";
import { environment, readConfig } from "../src/config.ts";

const ROOT = join(import.meta.dir, "..");
const known = Object.keys(environment.shape).sort();

/** Lines such as `# NAME=value`, commented out or not, with the line before each. */
async function example() {
  const lines = (await Bun.file(join(ROOT, ".env.example")).text()).split("\n");
  return lines.flatMap((line, index) => {
    const [, name, value] = /^#? ?([A-Z][A-Z0-9_]+)=(.*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined) return [];
    return [{ name, value, commented: line.startsWith("#"), before: lines[index - 1] ?? "" }];
  });
}

test(".env.example has every variable of the schema once, and no other", async () => {
  expect((await example()).map(({ name }) => name).sort()).toEqual(known);
});

test(".env.example sets nothing by itself and says of each variable what it means", async () => {
  for (const { name, commented, before } of await example()) {
    expect({ name, commented }).toEqual({ name, commented: true });
    expect({ name, before }).toEqual({ name, before: expect.stringMatching(/^# .{10,}[.:;]$/) });
  }
});

test("every value that .env.example shows is accepted", async () => {
  for (const { name, value } of await example()) {
    const bare = value.replace(/^"(.*)"$/, "$1");
    const triple = { LIVEKIT_API_KEY: "k", LIVEKIT_API_SECRET: "s" };
    const variables = { ...(name === "LIVEKIT_URL" ? triple : {}), [name]: bare };
    expect(() => readConfig(variables)).not.toThrow();
  }
});

test("docs/CONFIGURATION.md has every variable of the schema once, and no other", async () => {
  const table = await Bun.file(join(ROOT, "docs/CONFIGURATION.md")).text();
  const rows = table.split("\n").filter((line) => /^\| `[A-Z]/.test(line));
  const named = rows.flatMap((row) => {
    const cell = row.split("|")[1] ?? "";
    return [...cell.matchAll(/`([A-Z][A-Z0-9_]+)`/g)].map(([, name]) => String(name));
  });
  expect(named.sort()).toEqual(known);
});

const compose = z.object({
  services: z.record(
    z.string(),
    z.object({
      network_mode: z.string(),
      build: z.object({ target: z.string() }).optional(),
      env_file: z.array(z.object({ path: z.string(), required: z.boolean() })).default([]),
      environment: z.record(z.string(), z.string()),
      volumes: z.array(z.string()),
    }),
  ),
  volumes: z.record(z.string(), z.unknown()),
});

async function composeFile() {
  return compose.parse(Bun.YAML.parse(await Bun.file(join(ROOT, "compose.yaml")).text()));
}

test("compose.yaml passes every variable of .env to Parley, except those that join the containers", async () => {
  const { services } = await composeFile();
  const built = Object.entries(services).filter(([, { build }]) => build !== undefined);
  expect(built.map(([name]) => name)).toEqual(["parley", "parley-offline"]);
  const fixed = ["DATA_DIR", "PARLEY_CACHE_DIR", "LIVEKIT_URL", "LIVEKIT_PUBLIC_URL"];
  for (const [name, { env_file, environment: own }] of built) {
    expect({ name, env_file }).toEqual({ name, env_file: [{ path: ".env", required: false }] });
    expect(Object.keys(own).sort()).toEqual(fixed.sort());
    expect(own["LIVEKIT_PUBLIC_URL"]).toStartWith("$" + "{LIVEKIT_PUBLIC_URL:-");
    const parsed = {
      ...own,
      LIVEKIT_API_KEY: "k",
      LIVEKIT_API_SECRET: "s",
      LIVEKIT_PUBLIC_URL: "",
    };
    expect(() => readConfig(parsed)).not.toThrow();
  }
});

test("in compose.yaml no service lives in the network of another, which may restart alone", async () => {
  for (const { network_mode } of Object.values((await composeFile()).services)) {
    expect(network_mode).toBe("host");
  }
});

test("compose.yaml builds targets that the Dockerfile has, and declares every volume", async () => {
  const { services, volumes } = await composeFile();
  const dockerfile = await Bun.file(join(ROOT, "Dockerfile")).text();
  const stages = [...dockerfile.matchAll(/^FROM \S+ AS (\S+)$/gm)].map(([, stage]) => stage);
  for (const { build, volumes: mounts } of Object.values(services)) {
    if (build) expect(stages).toContain(build.target);
    for (const mount of mounts.filter((one) => !one.startsWith("."))) {
      expect(Object.keys(volumes)).toContain(mount.split(":")[0] ?? "");
    }
  }
  for (const [, stage] of dockerfile.matchAll(/--from=(\S+)/g)) expect(stages).toContain(stage);
  // `docker build` without a target makes the last one.
  expect(stages.at(-1)).toBe("parley");
});
