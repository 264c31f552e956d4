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
import { recogniserCode, sameLanguage } from "../domain/language.ts";
import { STAGES, type Stage } from "../domain/stage.ts";
import { catalogSource, pathsOf } from "./catalog.ts";
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
    "%s is well formed, with its licence and where to read it",
    (_, model) => {
      expect(catalogModel.parse(model)).toEqual(model);
      const paths = pathsOf(model);
      expect(new Set(paths).size).toBe(paths.length);
      modelFromFiles(model.stage, model.kind, { id: model.id, folder: "/m", paths });
      expect(sizeOf(model)).toBeGreaterThan(25e6);
      expect(model.memory).toBeGreaterThan(sizeOf(model) * 0.9);
      expect(model.licenceUrl).toStartWith("https://");
      if (/CC-BY/.test(model.licence)) expect(model.attribution).toBeString();
    },
  );

  test("never takes a file from a branch or by a tag that can move", () => {
    const pinned =
      /^https:\/\/huggingface\.co\/[\w.-]+\/[\w.-]+\/(resolve|blob)\/[0-9a-f]{40}\/[\w./-]+$/;
    // The path of a file on the Python Package Index is its hash.
    const addressed =
      /^https:\/\/files\.pythonhosted\.org\/packages\/[0-9a-f]{2}\/[0-9a-f]{2}\/[0-9a-f]{60}\//;
    // A release's archive can be replaced, so it is never the first source.
    const released = /^https:\/\/github\.com\/k2-fsa\/sherpa-onnx\/releases\/download\//;
    for (const { sources } of catalog.flatMap(({ files }) => files)) {
      const [first, ...others] = sources;
      expect(first?.url).toMatch(pinned);
      expect(first?.member).toBeUndefined();
      for (const { url, member } of others) {
        expect(addressed.test(url) || released.test(url)).toBeTrue();
        expect(member).toBeString();
      }
    }
    for (const { sample } of catalog.flatMap(({ voices = [] }) => voices)) {
      if (sample !== undefined) expect(sample).toMatch(pinned);
    }
  });

  test("hears and speaks at least ten languages, and each voice speaks one of its model's", () => {
    const known = (stage: Stage) =>
      new Set(
        catalog
          .filter((model) => model.stage === stage)
          .flatMap(({ languages }) => languages.map(recogniserCode)),
      );
    const both = [...known("stt")].filter(
      (language) => known("tts").has(language) && known("llm").has(language),
    );
    for (const language of "de es fr it pt nl pl ru tr ar hi zh uk sv en".split(" ")) {
      expect(both).toContain(language);
    }
    for (const model of catalog.filter(({ stage }) => stage === "tts")) {
      expect(model.voices?.length).toBeGreaterThan(0);
      for (const { language } of model.voices ?? []) {
        expect(model.languages.some((one) => sameLanguage(one, language))).toBeTrue();
      }
    }
  });

  test("has a starter set of a few hundred megabytes, with one model of each stage", () => {
    const starter = catalog.filter((model) => model.starter);
    expect(starter.map(({ stage }) => stage).toSorted()).toEqual(["llm", "stt", "tts"]);
    expect(starter.reduce((sum, model) => sum + sizeOf(model), 0)).toBeLessThan(700e6);
  });

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
