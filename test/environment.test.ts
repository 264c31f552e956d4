import { expect, test } from "bun:test";
import { join } from "node:path";
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
