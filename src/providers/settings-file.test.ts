import { expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../../test/database.ts";
import { readSettings, writeSettings } from "./settings-file.ts";

const KEY = "sk-secret-of-the-test";

test("what was stored is read again, and only its owner may read it", () => {
  using folder = temporaryFolder();
  const path = join(folder.path, "new", "settings.json");
  expect(readSettings(path)).toEqual({ stages: {} });
  const settings = {
    openai_api_key: KEY,
    stages: {
      llm: { use: "endpoint", base_url: "http://a/v1", api_key: "k", model: "m" },
      tts: { use: "local", model: "piper", kind: "piper" },
    },
  } as const;
  writeSettings(path, settings);
  expect(readSettings(path)).toEqual(settings);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  // Also where a file of another mode was.
  writeFileSync(join(folder.path, "open.json"), "{}", { mode: 0o644 });
  writeSettings(join(folder.path, "open.json"), { stages: {} });
  expect(statSync(join(folder.path, "open.json")).mode & 0o777).toBe(0o600);
  expect(readdirSync(join(folder.path, "new"))).toEqual(["settings.json"]);
});

test.each([
  ["no JSON", "{"],
  ["another form", '{"openai_api_key":7}'],
  ["a choice that is none", '{"stages":{"stt":{"use":"magic"}}}'],
  ["an address with a password", '{"stages":{"stt":{"use":"endpoint","base_url":"http://u:p@a"}}}'],
])("a file with %s is refused by its name, and quoted nowhere", (_, text) => {
  using folder = temporaryFolder();
  const path = join(folder.path, "settings.json");
  writeFileSync(path, text.replace("7", `"${KEY} x"`));
  try {
    readSettings(path);
    throw new Error("it was read");
  } catch (error) {
    expect(String(error)).toContain(`${path} cannot be read`);
    expect(String(error)).not.toContain(KEY);
  }
});

test("settings that cannot be stored are a failure, and leave nothing behind", () => {
  using folder = temporaryFolder();
  const path = join(folder.path, "settings.json");
  mkdirSync(path);
  expect(() => writeSettings(path, { stages: {} })).toThrow("could not be stored");
  expect(readdirSync(folder.path)).toEqual(["settings.json"]);
  expect(existsSync(path)).toBe(true);
});
