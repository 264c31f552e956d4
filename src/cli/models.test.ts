import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { outcomeOf, startCommand } from "../../test/command.ts";
import { temporaryFolder } from "../../test/database.ts";
import { bytesOf, ModelServer, tinyModel } from "../../test/model-server.ts";

const GGUF = bytesOf(400_000, 7);

const folder = temporaryFolder();
let server: ModelServer;

beforeAll(() => {
  server = new ModelServer({ files: { "tiny-llm/a.gguf": GGUF }, piece: 10_000 });
  const models = [tinyModel(server.url, { "a.gguf": GGUF })];
  writeFileSync(join(folder.path, "catalog.json"), JSON.stringify({ models }));
});
beforeEach(() => {
  server.paceMs = 0;
  server.requests.length = 0;
  rmSync(join(folder.path, "data"), { recursive: true, force: true });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

function start(args: string[]) {
  const variables = { MODELS_CATALOG: join(folder.path, "catalog.json") };
  return startCommand(["models", ...args], folder.path, variables);
}

const run = (...args: string[]) => outcomeOf(start(args));

const listing = z.object({
  folder: z.string(),
  models: z.array(
    z.object({
      id: z.string(),
      stage: z.string(),
      bytes: z.number(),
      state: z.enum(["absent", "present"]),
      recommended: z.boolean(),
    }),
  ),
});

test("a model is listed, pulled, listed as downloaded, and removed", async () => {
  const before = listing.parse(JSON.parse((await run("list", "--json")).out));
  expect(before.models).toEqual([
    { id: "tiny-llm", stage: "llm", bytes: 400_000, state: "absent", recommended: true },
  ]);
  const pulled = await run("pull", "tiny-llm");
  expect(pulled).toMatchObject({ code: 0, out: "tiny-llm: 400 kB, verified\n" });
  expect(pulled.errors).toMatch(/^tiny-llm: \d+ %, .* of 400 kB, .*\/s\n/);
  expect(existsSync(join(before.folder, "tiny-llm", "a.gguf"))).toBe(true);
  const { out } = await run();
  expect(out).toMatch(
    /^llm {2}tiny-llm {2}\s*400 kB {2}\s*1 kB RAM {2}MIT {2}downloaded {2}recommended\n {5}It knows English\. .*\n(This machine .*\n)?in .*models\n$/,
  );
  expect(await run("remove", "tiny-llm")).toEqual({
    code: 0,
    out: "tiny-llm: removed\n",
    errors: "",
  });
  expect(readdirSync(before.folder)).toEqual([]);
});

test("pull recommended downloads what is recommended for this machine", async () => {
  expect(await run("pull", "recommended")).toMatchObject({ code: 0 });
});

test("Ctrl-C stops a pull with 130, and the next one goes on", async () => {
  server.paceMs = 30;
  const child = start(["pull", "tiny-llm"]);
  await server.sent(60_000);
  child.kill("SIGINT");
  expect(await child.exited).toBe(130);
  server.paceMs = 0;
  expect(await run("pull", "tiny-llm")).toMatchObject({ code: 0 });
  expect(server.requests[1]).toContain("bytes=");
});

test("a failure is one line that says how to do it by hand, and ends with 1", async () => {
  server.faults.push({ kind: "status", status: 404 });
  const { code, errors } = await run("pull", "tiny-llm");
  expect(code).toBe(1);
  expect(errors).toMatch(/^parley: http.* answered 404\. Try again.* save it as .*a\.gguf\n$/);
  expect(await run("pull", "nobody")).toMatchObject({
    code: 1,
    errors: 'parley: there is no model "nobody": see parley models list\n',
  });
});

test.each([
  { args: ["pull"] },
  { args: ["remove"] },
  { args: ["list", "x"] },
  { args: ["fetch", "x"] },
  { args: ["pull", "--all"] },
  { args: ["pull", "x", "--json"] },
])("wrong arguments end with 2 and the usage: $args", async ({ args }) => {
  const { code, out, errors } = await run(...args);
  expect({ code, out }).toEqual({ code: 2, out: "" });
  expect(errors).toStartWith("usage: parley models");
});
