import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../../test/database.ts";
import { memoryLogger } from "../../test/event-log.ts";
import { bytesOf, ModelServer, tinyModel } from "../../test/model-server.ts";
import type { Catalog, ModelState } from "../domain/catalog.ts";
import { downloadedModel } from "./model-folder.ts";
import { ModelLibrary } from "./model-library.ts";

const FIRST = bytesOf(60_000, 5);
const SECOND = bytesOf(40_000, 6);

function open(paceMs = 0) {
  const stack = new AsyncDisposableStack();
  const server = stack.use(
    new ModelServer({
      files: { "first/a.gguf": FIRST, "second/b.gguf": SECOND },
      paceMs,
      piece: 5000,
    }),
  );
  const folder = stack.use(temporaryFolder()).path;
  const catalog: Catalog = [
    tinyModel(server.url, { "a.gguf": FIRST }, { id: "first", name: "First" }),
    tinyModel(server.url, { "b.gguf": SECOND }, { id: "second", name: "Second", memory: 2000 }),
  ];
  const logger = memoryLogger();
  const make = () =>
    new ModelLibrary({
      folder,
      catalog: async () => catalog,
      machine: async () => ({
        memory: 8 * 2 ** 30,
        speed: { multiplyAddsPerSecond: 1e11, bytesPerSecond: 1e11 },
        measured: {},
      }),
      logger,
      stallMs: 500,
      notifyMs: 0,
    });
  const library = stack.use(make());
  return {
    server,
    folder,
    library,
    logger,
    make,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** Resolves with the first state of a model for which `found` is true. */
async function until(
  library: ModelLibrary,
  id: string,
  found: (state: ModelState) => boolean,
): Promise<ModelState> {
  const changed = Promise.withResolvers<ModelState>();
  const look = async () => {
    const { state } = await library.find(id);
    if (found(state)) changed.resolve(state);
  };
  using _subscription = library.subscribe(() => void look());
  await look();
  return await changed.promise;
}

test("models are downloaded one after the other, and each is present once it is complete", async () => {
  await using world = open(5);
  const { library } = world;
  expect((await library.list()).map(({ state }) => state.state)).toEqual(["absent", "absent"]);
  await library.download(["first", "second"]);
  expect((await library.find("second")).state).toEqual({ state: "waiting" });
  const under = await until(library, "first", ({ state }) => state === "downloading");
  expect(under).toMatchObject({ total: 60_000 });
  await until(library, "first", ({ state }) => state === "present");
  await until(library, "second", ({ state }) => state === "present");
  expect(world.server.requests).toEqual(["first/a.gguf", "second/b.gguf"]);
  expect(downloadedModel(world.folder, "llm", { id: "second", kind: "gguf" })).toEqual({
    stage: "llm",
    kind: "gguf",
    id: "second",
    model: join(world.folder, "second/b.gguf"),
  });
});

test("a model that is requested twice is downloaded once, and a present one is not downloaded again", async () => {
  await using world = open(5);
  const { library } = world;
  await library.download(["first"]);
  await library.download(["first"]);
  await until(library, "first", ({ state }) => state === "present");
  await library.download(["first"]);
  expect(world.server.requests).toEqual(["first/a.gguf"]);
});

test("two requests at once make one download, which one cancellation ends", async () => {
  await using world = open(5);
  const { library } = world;
  await Promise.all([library.download(["first"]), library.download(["first", "second"])]);
  library.cancel("first");
  await until(library, "second", ({ state }) => state === "present");
  expect((await library.find("first")).state.state).toBe("absent");
});

test("a cancelled download keeps its bytes, and resumes when requested again", async () => {
  await using world = open(10);
  const { library } = world;
  await library.download(["first", "second"]);
  await until(library, "first", (state) => state.state === "downloading" && state.received > 9000);
  library.cancel("first");
  const { state } = await library.find("first");
  expect(state).toMatchObject({ state: "absent", kept: expect.any(Number) });
  await until(library, "second", (one) => one.state === "present");
  await library.download(["first"]);
  await until(library, "first", (one) => one.state === "present");
  expect(world.server.requests[2]).toMatch(/^first\/a\.gguf bytes=\d+-/);
});

test("a queued download can be cancelled too, and never starts", async () => {
  await using world = open(5);
  const { library } = world;
  await library.download(["first", "second"]);
  library.cancel("second");
  library.cancel("nobody");
  await until(library, "first", ({ state }) => state === "present");
  expect((await library.find("second")).state).toEqual({ state: "absent", kept: 0 });
  expect(world.server.requests).toEqual(["first/a.gguf"]);
});

test("a failure is reported and remembered, and another try works", async () => {
  await using world = open();
  const { library } = world;
  world.server.faults.push({ kind: "status", status: 404 });
  await library.download(["first"]);
  const failed = await until(library, "first", ({ state }) => state === "failed");
  expect(failed).toMatchObject({ message: expect.stringContaining("answered 404. Try again") });
  await library.download(["first"]);
  await until(library, "first", ({ state }) => state === "present");
});

describe("removing", () => {
  test("deletes the files, also during a download", async () => {
    await using world = open(10);
    const { library } = world;
    await library.download(["first"]);
    await until(
      library,
      "first",
      (state) => state.state === "downloading" && state.received > 9000,
    );
    await library.remove("first");
    expect((await library.find("first")).state).toEqual({ state: "absent", kept: 0 });
    expect(readdirSync(world.folder)).toEqual([]);
    await library.remove("first");
  });

  test("and downloading accept only ids of the catalogue", async () => {
    await using world = open();
    for (const id of ["../first", "", "nobody", "__proto__"]) {
      await expect(world.library.remove(id)).rejects.toThrow("no such model");
      await expect(world.library.download([id])).rejects.toThrow("no such model");
    }
  });

  test("a missing model that a session needs is reported with how to download it", () => {
    const missing = () => downloadedModel("/nowhere", "llm", { id: "first", kind: "gguf" });
    expect(missing).toThrow("parley models pull first");
  });
});

test("closing stops a download, and the next start resumes it", async () => {
  await using world = open(10);
  await world.library.download(["first"]);
  await until(
    world.library,
    "first",
    (state) => state.state === "downloading" && state.received > 9000,
  );
  await world.library[Symbol.asyncDispose]();
  expect(existsSync(join(world.folder, "first/a.gguf.part"))).toBe(true);
  await using again = world.make();
  await again.download(["first"]);
  await until(again, "first", ({ state }) => state === "present");
  expect(world.server.requests[1]).toContain("bytes=");
});
