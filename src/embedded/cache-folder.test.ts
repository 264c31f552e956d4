import { expect, test } from "bun:test";
import { homedir } from "node:os";
import { join } from "node:path";
import { cacheFolder, dataFolder } from "./cache-folder.ts";

test("the user's folders are those of the XDG standard", () => {
  expect(cacheFolder({}, "linux")).toBe(join(homedir(), ".cache/parley"));
  expect(cacheFolder({ XDG_CACHE_HOME: "/var/caches" }, "linux")).toBe("/var/caches/parley");
  expect(dataFolder({}, "linux")).toBe(join(homedir(), ".local/share/parley"));
  expect(dataFolder({ XDG_DATA_HOME: "/srv/data" }, "darwin")).toBe("/srv/data/parley");
});

test("a relative one is ignored, as the standard has it", () => {
  expect(cacheFolder({ XDG_CACHE_HOME: "caches" }, "linux")).toBe(join(homedir(), ".cache/parley"));
});

test("Windows has LOCALAPPDATA", () => {
  const variables = { LOCALAPPDATA: "/Users/ann/AppData/Local" };
  expect(cacheFolder(variables, "win32")).toBe("/Users/ann/AppData/Local/parley/cache");
  expect(dataFolder(variables, "win32")).toBe("/Users/ann/AppData/Local/parley/data");
});

test("PARLEY_CACHE_DIR is taken as it is, relative to the working directory", () => {
  expect(cacheFolder({ PARLEY_CACHE_DIR: "/fast", XDG_CACHE_HOME: "/slow" })).toBe("/fast");
  expect(cacheFolder({ PARLEY_CACHE_DIR: "here" })).toBe(join(process.cwd(), "here"));
});
