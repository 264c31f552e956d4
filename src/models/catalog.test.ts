import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { temporaryFolder } from "../../test/database.ts";
import { bytesOf, tinyModel } from "../../test/model-server.ts";
import {
  type CatalogModel,
  catalogModel,
  MODEL_SIZES,
  bytesOf as sizeOf,
} from "../domain/catalog.ts";
import { STAGES } from "../domain/stage.ts";
import { catalogSource } from "./catalog.ts";
import { modelFromFiles } from "./model-files.ts";

const GIB = 2 ** 30;

describe("the built-in catalogue", async () => {
  const catalog = await catalogSource(undefined)();

  test("has a small, a medium and a large model for each stage", () => {
    for (const stage of STAGES) {
      for (const size of MODEL_SIZES) {
        const fitting = catalog.filter((one) => one.stage === stage && one.size === size);
        expect({ stage, size, found: fitting.length > 0 }).toEqual({ stage, size, found: true });
      }
    }
  });

  test.each(catalog.map((model) => [model.id, model] as const))(
    "%s is well formed, with all its files from Hugging Face",
    (_, model) => {
      expect(catalogModel.parse(model)).toEqual(model);
      const paths = model.files.map(({ path }) => path);
      expect(new Set(paths).size).toBe(paths.length);
      modelFromFiles(model.stage, model.kind, { id: model.id, folder: "/m", paths });
      for (const { sources } of model.files) {
        expect(sources[0]?.url).toStartWith("https://huggingface.co/");
      }
      expect(sizeOf(model)).toBeGreaterThan(40e6);
      expect(model.memory).toBeGreaterThan(sizeOf(model) * 0.9);
    },
  );

  test("names each model once, and its language models have 0.5 to 4 billion parameters", () => {
    expect(new Set(catalog.map(({ id }) => id)).size).toBe(catalog.length);
    const sizes = catalog.filter(({ stage }) => stage === "llm").map(sizeOf);
    for (const size of sizes) expect(size).toBeLessThan(3 * GIB);
  });
});

describe("a configured catalogue", () => {
  const model = tinyModel("http://127.0.0.1:1", { "a.gguf": bytesOf(10) });
  const text = (models: unknown) => JSON.stringify({ models });

  test("is read from a path or a file:// URL, once", async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "catalog.json");
    writeFileSync(path, text([model]));
    const read = catalogSource(path);
    expect(await read()).toEqual([model]);
    expect(await catalogSource(pathToFileURL(path).href)()).toEqual([model]);
    writeFileSync(path, text([]));
    expect(await read()).toEqual([model]);
  });

  test("is read from a server, and again if that failed", async () => {
    let status = 500;
    await using server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: () => new Response(text([model]), { status }),
    });
    const read = catalogSource(server.url.href);
    await expect(read()).rejects.toThrow(/MODELS_CATALOG=http:.* the server answered 500/);
    status = 200;
    expect(await read()).toEqual([model]);
  });

  const wrong: [what: string, content: string, message: RegExp][] = [
    ["no JSON", "{", /is not JSON/],
    ["no list", "{}", /models/],
    ["a field of another form", text([{ ...model, memory: "much" }]), /models\.0\.memory/],
    ["a field that is none", text([{ ...model, run: "rm -rf /" }]), /Unrecognized key/],
    ["an id that leads elsewhere", text([{ ...model, id: "../x" }]), /models\.0\.id/],
    ["an id with two dots", text([{ ...model, id: "a..b" }]), /models\.0\.id/],
    ["the same model twice", text([model, model]), /it lists tiny-llm twice/],
    ["an unknown kind", text([{ ...model, kind: "magic" }]), /has the kind "magic"/],
    [
      "too few files",
      text([{ ...model, stage: "stt", kind: "whisper" }]),
      /no file for its encoder/,
    ],
  ];
  test.each(wrong)(
    "with %s is refused, and the message says where",
    async (_, content, message) => {
      using folder = temporaryFolder();
      const path = join(folder.path, "catalog.json");
      writeFileSync(path, content);
      await expect(catalogSource(path)()).rejects.toThrow(message);
    },
  );

  test.each(["/etc/passwd", "../up", "a/../../up", "a//b", ".hidden", "a\\b", "C:/x", "", "a/"])(
    "with the path %j is refused: files stay in the model's folder",
    (path) => {
      const [file] = model.files;
      const changed: CatalogModel = { ...model, files: [{ ...file, path } as never] };
      expect(catalogModel.safeParse(changed).success).toBe(false);
    },
  );

  test("that does not exist is reported", async () => {
    await expect(catalogSource("/nowhere/c.json")()).rejects.toThrow("cannot be read");
  });
});

test("a configured catalogue names a file's sources in order: addresses, archives with a member, or one url", async () => {
  using folder = temporaryFolder();
  const model = tinyModel("http://127.0.0.1:1", { "a.gguf": bytesOf(10) });
  const path = join(folder.path, "catalog.json");
  const [file] = model.files;
  const { sources: _, ...rest } = file ?? { sources: [] };
  const archive = { url: "https://a.example/tiny.whl", member: "tiny/a.gguf" };
  const read = async (change: object) => {
    writeFileSync(
      path,
      JSON.stringify({ models: [{ ...model, files: [{ ...rest, ...change }] }] }),
    );
    return (await catalogSource(path)())[0]?.files[0]?.sources;
  };
  const [first, second] = ["https://a.example/a.gguf", "http://b.example/a.gguf"];
  expect(await read({ url: first })).toEqual([{ url: first }]);
  expect(await read({ sources: [first, archive, { url: second }] })).toEqual([
    { url: first },
    archive,
    { url: second },
  ]);
  expect(await read({ url: first, sources: [second] })).toEqual([{ url: first }, { url: second }]);
  await expect(read({})).rejects.toThrow(/models\.0\.files\.0.* neither url nor sources/);
  await expect(read({ sources: [] })).rejects.toThrow("neither url nor sources");
});
