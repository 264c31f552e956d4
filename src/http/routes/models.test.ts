import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../../../test/database.ts";
import { form, type HttpSide, openHttp, PASSWORD, problemOf } from "../../../test/http-harness.ts";
import { bytesOf, ModelServer, tinyModel } from "../../../test/model-server.ts";
import { startStandIn } from "../../../test/stand-in/openai.ts";
import { Failure } from "../../errors.ts";

const KEY = "sk-secret-of-the-test";
const GGUF = bytesOf(50_000, 21);
const HOSTILE = `"><script>alert(1)</script><img src=x onerror=alert(1)>`;

const open = new AsyncDisposableStack();
let server: ModelServer;
let catalog: string;

beforeAll(() => {
  server = open.use(new ModelServer({ files: { "tiny-llm/a.gguf": GGUF }, piece: 5000 }));
  const models = [
    tinyModel(server.url, { "a.gguf": GGUF }, { name: HOSTILE, about: HOSTILE, licence: HOSTILE }),
    tinyModel(server.url, { "a.gguf": GGUF }, { id: "other", memory: 9e15 }),
  ];
  catalog = join(open.use(temporaryFolder()).path, "catalog.json");
  writeFileSync(catalog, JSON.stringify({ models }));
});
afterAll(() => open.disposeAsync());

function side(options: Parameters<typeof openHttp>[0] = {}): HttpSide {
  const { variables, ...rest } = options;
  return openHttp({ ...rest, variables: { MODELS_CATALOG: catalog, ...variables } });
}

/** Resolves once the tiny model is in this state. */
async function until({ models }: HttpSide, state: string): Promise<void> {
  const reached = Promise.withResolvers<void>();
  const look = async () => {
    if ((await models.find("tiny-llm")).state.state === state) reached.resolve();
  };
  using _subscription = models.subscribe(() => void look());
  await look();
  await reached.promise;
}

const PATHS = [
  ["GET", "/models"],
  ["GET", "/models/events"],
  ["GET", "/offer/events"],
  ["GET", "/providers/found"],
  ["POST", "/models/tiny-llm/download"],
  ["POST", "/models/tiny-llm/cancel"],
  ["POST", "/models/tiny-llm/remove"],
  ["POST", "/offer/download"],
  ["POST", "/offer/cancel"],
  ["POST", "/providers/openai"],
  ["POST", "/providers/endpoint"],
  ["POST", "/providers/second"],
  ["POST", "/providers/offered"],
  ["POST", "/providers/test/llm"],
  ["GET", "/providers/test/sounds/1"],
  ["POST", "/providers/local"],
  ["GET", "/providers/speakers"],
  ["POST", "/providers/listen"],
  ["POST", "/providers/forget"],
] as const;

describe("a guest, where a password is set,", () => {
  test.each(PATHS)("gets no %s %s", async (method, path) => {
    await using http = side({ variables: { AUTH_PASSWORD: PASSWORD } });
    const response = await http.guest(path, {
      ...form({}),
      method,
      ...(method === "GET" ? { body: null } : {}),
    });
    expect(response.status).toBe(401);
    expect(http.providers.hasOpenAiKey).toBe(false);
    expect(existsSync(join(http.dataDir, "models", "tiny-llm"))).toBe(false);
  });
});

test.each(PATHS.filter(([method]) => method === "POST"))(
  "a foreign page's form is refused: %s %s",
  async (_, path) => {
    await using http = side();
    const foreign = form({ api_key: KEY, stages: "llm" }, { Origin: "https://evil.example" });
    expect((await http.guest(path, foreign)).status).toBe(403);
    expect(http.providers.hasOpenAiKey).toBe(false);
  },
);

describe("the page of models", () => {
  test("says what language models compute on, if a GPU is wished", async () => {
    const notice = "Language models use the processor: no device was found.";
    await using wished = side({ gpuNotice: () => notice });
    expect(await (await wished.guest("/models")).text()).toContain(notice);
    await using unset = side();
    expect(await (await unset.guest("/models")).text()).not.toContain("Language models use");
  });

  test("shows the catalogue as text, without inline script or style", async () => {
    await using http = side();
    const response = await http.guest("/models");
    const html = await response.text();
    expect(response.headers.get("Cache-Control")).toBe("no-store");
    expect(html).not.toContain("<script>alert");
    expect(html).not.toContain("<img");
    expect(html).toContain("&lt;script&gt;alert");
    expect(html).not.toMatch(
      /<script(?![^>]* src=)|<style|\sstyle=|<[^>]*\son[a-z]+=|hx-on|javascript:/,
    );
  });

  test("says why your own catalogue cannot be read, and still lets you choose", async () => {
    await using http = side({ variables: { MODELS_CATALOG: "/nowhere.json" } });
    const html = await (await http.guest("/models")).text();
    expect(html).toContain("MODELS_CATALOG=/nowhere.json cannot be read");
    expect(html).toContain("Use OpenAI");
    expect((await http.guest("/")).status).toBe(200);
    const response = await http.guest("/offer/download", form({}));
    expect((await problemOf(response)).status).toBe(503);
  });

  test("downloads, uses and removes by its forms, also without HTMX", async () => {
    await using http = side();
    const post = (path: string, fields: Record<string, string> = {}) =>
      http.guest(path, form(fields));
    const begun = await post("/models/tiny-llm/download");
    expect([begun.status, begun.headers.get("Location")]).toEqual([303, "/models"]);
    await until(http, "present");
    const used = await post("/providers/local", { stage: "llm", model: "tiny-llm" });
    expect(used.status).toBe(303);
    expect(http.providers.overview()[1]).toMatchObject({ use: "local", model: "tiny-llm" });
    const refused = await problemOf(await post("/models/tiny-llm/remove"));
    expect(refused).toMatchObject({ status: 409, detail: expect.stringContaining("is in use") });
    await post("/providers/forget");
    expect((await post("/models/tiny-llm/remove")).status).toBe(303);
    expect(existsSync(join(http.dataDir, "models", "tiny-llm"))).toBe(false);
  });

  test("answers HTMX with nothing: what changed comes by the events", async () => {
    await using http = side();
    const htmx = form({}, { "HX-Request": "true" });
    expect((await http.guest("/models/tiny-llm/download", htmx)).status).toBe(204);
    await until(http, "present");
    const refused = await http.guest("/providers/openai", htmx);
    expect(refused.status).toBe(400);
    expect(await refused.text()).toContain('role="alert"');
  });

  test("follows a download by its events, to the end", async () => {
    await using http = side();
    server.paceMs = 80;
    const events = await http.guest("/models/events");
    expect(events.headers.get("Content-Type")).toStartWith("text/event-stream");
    const seen: string[] = [];
    const reading = (async () => {
      const decoder = new TextDecoder();
      for await (const chunk of events.body ?? []) {
        const text = decoder.decode(chunk, { stream: true });
        for (const [, state] of text.matchAll(/data-model="tiny-llm" data-state="(\w+)"/g)) {
          if (state !== undefined && seen.at(-1) !== state) seen.push(state);
        }
        if (seen.at(-1) === "present") return;
      }
    })();
    await http.guest("/models/tiny-llm/download", form({}));
    await reading;
    server.paceMs = 0;
    expect(seen).toEqual(
      ["absent", "waiting", "downloading", "present"].filter((one) => seen.includes(one)),
    );
    expect(seen).toContain("downloading");
  });
});

describe("the languages of the page of models", () => {
  test("lists the models that know a language, with licence, attribution, voices and why", async () => {
    await using http = openHttp();
    const html = await (await http.guest("/models?language=de")).text();
    for (const id of ["piper-de-de-thorsten-medium", "parakeet-tdt-0.6b-v3", "supertonic-3"]) {
      expect(html).toContain(`data-model="${id}"`);
    }
    expect(html).not.toContain('data-model="moonshine-tiny-en"');
    expect(html).toContain('<option value="de" selected="">German</option>');
    expect(html).toContain('hx-sse:connect="/models/events?language=de"');
    expect(html).toContain("It knows German.");
    expect(html).toContain("Parakeet TDT 0.6B v3 by NVIDIA");
    expect(html).toContain('href="https://creativecommons.org/licenses/by/4.0/"');
    expect(html).toMatch(/samples\/speaker_0\.mp3"[^>]*>Listen/);
    const hostile = await http.guest(`/models?language=${encodeURIComponent('"><script>')}`);
    expect(await hostile.text()).toContain('data-model="moonshine-tiny-en"');
  });

  test("recommends for the language that the browser asks for first", async () => {
    await using http = openHttp();
    const headers = { "Accept-Language": "fr;q=0.5, xx-nonsense, tr-TR, en;q=0.1" };
    const html = await (await http.guest("/models", { headers })).text();
    expect(html).toContain("It knows Turkish.");
    expect(html).toContain('data-model="moonshine-tiny-en"');
    const offer = await (await http.guest("/", { headers })).text();
    expect(offer).toContain("Supertonic 3");
  });
});

describe("hostile input", () => {
  const ids = [
    "..%2F..%2Fetc",
    "%2e%2e",
    "nobody",
    "__proto__",
    "a".repeat(300),
    "%00",
    "tiny-llm%0a",
  ];
  test.each(ids)("an id such as %j is not found", async (id) => {
    await using http = side();
    for (const verb of ["download", "cancel", "remove"]) {
      const { status } = await http.guest(`/models/${id}/${verb}`, form({}));
      expect({ verb, status }).toEqual({ verb, status: 404 });
    }
  });

  const refused: [what: string, path: string, fields: Record<string, string>, detail: RegExp][] = [
    ["no key", "/providers/openai", { stages: "llm" }, /Enter your OpenAI key/],
    [
      "a key with a line break",
      "/providers/openai",
      { stages: "llm", api_key: "a\r\nX: y" },
      /key/,
    ],
    ["a key of two words", "/providers/openai", { stages: "llm", api_key: "a b" }, /printable/],
    ["an endless key", "/providers/openai", { stages: "llm", api_key: "k".repeat(2000) }, /longer/],
    ["no stage", "/providers/openai", { api_key: KEY }, /Select at least one use/],
    ["an unknown stage", "/providers/openai", { api_key: KEY, stages: "constructor" }, /Invalid/],
    ["no address", "/providers/endpoint", { stages: "llm" }, /address is missing/],
    ["a file", "/providers/endpoint", { stages: "llm", base_url: "file:///etc/passwd" }, /http/],
    ["a script", "/providers/endpoint", { stages: "llm", base_url: "javascript:alert(1)" }, /http/],
    [
      "a password",
      "/providers/endpoint",
      { stages: "llm", base_url: "http://u:p@a/v1" },
      /password/,
    ],
    ["a query", "/providers/endpoint", { stages: "llm", base_url: "http://a/?k=1" }, /query/],
    ["no model", "/providers/local", { stage: "llm" }, /Invalid|expected/],
    [
      "another stage's model",
      "/providers/local",
      { stage: "tts", model: "tiny-llm" },
      /cannot be used for that/,
    ],
  ];
  test.each(refused)("%s is a 400 that says so", async (_, path, fields, detail) => {
    await using http = side();
    const answer = await problemOf(await http.guest(path, form(fields)));
    expect(answer.status).toBe(400);
    expect(answer.detail).toMatch(detail);
    expect(JSON.stringify(answer)).not.toContain(KEY);
    expect(existsSync(join(http.dataDir, "settings.json"))).toBe(false);
  });

  test("a model that is not here cannot be chosen, and JSON is no form", async () => {
    await using http = side();
    const missing = await http.guest("/providers/local", form({ stage: "llm", model: "tiny-llm" }));
    expect((await problemOf(missing)).detail).toContain("parley models pull tiny-llm");
    const json = { method: "POST", body: "{}", headers: { "Content-Type": "application/json" } };
    expect((await http.guest("/providers/openai", json)).status).toBe(400);
  });

  test("a form leads to Parley's own pages only", async () => {
    await using http = side();
    for (const next of ["https://evil.example", "//evil.example", "/sign-out", ""]) {
      const fields = form({ api_key: KEY, stages: "llm", next });
      const response = await http.guest("/providers/openai", fields);
      expect(response.headers.get("Location")).toBe("/models");
    }
    const found = await http.guest(`/providers/found?next=${encodeURIComponent(HOSTILE)}`);
    expect(await found.text()).not.toContain("<script>");
  });
});

describe("who serves a stage", () => {
  test("is chosen by forms; a key goes in, and comes out nowhere", async () => {
    await using http = side();
    const pasted = form({ api_key: ` ${KEY} `, stages: "llm", next: "/" });
    const response = await http.guest("/providers/openai", pasted);
    expect([response.status, response.headers.get("Location")]).toEqual([303, "/"]);
    const endpoint = {
      base_url: "http://127.0.0.1:11434/v1/",
      api_key: KEY,
      stages: "tts",
      tts_model: "kokoro",
      tts_voice: "sky",
    };
    await http.guest("/providers/endpoint", form(endpoint));
    expect(http.providers.stages().tts).toEqual({
      baseURL: "http://127.0.0.1:11434/v1",
      apiKey: KEY,
      model: "kokoro",
      voice: "sky",
    });
    const pages = await Promise.all(
      ["/", "/models"].map(async (path) => (await http.guest(path)).text()),
    );
    expect(pages.join()).toContain("An OpenAI key is saved");
    expect(pages.join() + JSON.stringify(http.logger.lines)).not.toContain(KEY);
  });

  test("and what takes over for it are chosen by forms", async () => {
    await using http = side();
    const second = { stage: "llm", use: "endpoint", base_url: "http://127.0.0.1:9/v1", model: "b" };
    const answer = await http.guest("/providers/second", form({ ...second, api_key: KEY }));
    expect([answer.status, answer.headers.get("Location")]).toEqual([303, "/models"]);
    const page = await (await http.guest("/models")).text();
    expect(page).toContain("If it fails: http://127.0.0.1:9/v1: b");
    expect(page).not.toContain(KEY);
    await http.guest("/providers/second", form({ stage: "llm", use: "none" }));
    expect(http.providers.overview()[1]?.second).toBeUndefined();
    const refused = [
      { stage: "llm", use: "endpoint" },
      { stage: "llm", use: "openai" },
      { stage: "llm", use: "somebody" },
      { stage: "tts", use: "local:tiny-llm" },
    ];
    for (const fields of refused) {
      expect((await http.guest("/providers/second", form(fields))).status).toBe(400);
    }
    expect(
      (await http.guest("/providers/second", form({ stage: "llm", use: "local:x" }))).status,
    ).toBe(404);
  });

  test("stays as it was when the server refuses the key", async () => {
    await using http = side({
      servers: {
        find: async () => {
          throw new Failure("upstream_failed", "The provider refused the key (401).");
        },
      },
    });
    const response = await http.guest("/providers/openai", form({ api_key: KEY, stages: "llm" }));
    expect((await problemOf(response)).status).toBe(502);
    expect(http.providers.hasOpenAiKey).toBe(false);
  });

  test("is not changed where the environment decides it: 409 names the variable", async () => {
    await using http = side({ variables: { OPENAI_API_KEY: KEY } });
    const response = await http.guest("/providers/openai", form({ api_key: "k", stages: "llm" }));
    const { status, detail } = await problemOf(response);
    expect({ status, detail }).toEqual({
      status: 409,
      detail: expect.stringContaining("OPENAI_API_KEY is set in the environment"),
    });
    const html = await (await http.guest("/models")).text();
    expect(html).not.toContain("/providers/openai");
    expect(html).not.toContain(KEY);
    expect(await (await http.guest("/")).text()).not.toContain('id="offer"');
  });
});

test("the offer's one consent puts the recommended models to use", async () => {
  await using http = side();
  const html = await (await http.guest("/")).text();
  expect(html).toContain('id="offer"');
  expect(html).toContain("Accept licences and download (50\u00a0kB)");
  expect((await http.guest("/offer/download", form({}))).headers.get("Location")).toBe("/");
  await until(http, "present");
  const used = Promise.withResolvers<void>();
  using _subscription = http.offline.subscribe(() => used.resolve());
  if (http.offline.underWay) await used.promise;
  expect(http.providers.overview()[1]).toMatchObject({ use: "local", model: "tiny-llm" });
});

test("has one realtime model serve all stages, once its server accepts it, and the stages again", async () => {
  await using ai = await startStandIn({ apiKey: "sk-right", knownModel: "talker" });
  await using http = side();
  const choice = { base_url: ai.url, api_key: "sk-right", model: "talker", voice: "ash" };
  const post = (fields: Record<string, string>) =>
    http.guest("/providers/speech-to-speech", form(fields));
  const refused = await problemOf(await post({ ...choice, api_key: "sk-wrong" }));
  expect(refused).toMatchObject({ status: 502, detail: expect.stringContaining("key") });
  expect((await post({ ...choice, model: "" })).status).toBe(400);
  expect((await post(choice)).headers.get("Location")).toBe("/models");
  const html = await (await http.guest("/models")).text();
  expect(html).toContain("In use: talker, voice ash");
  expect(html).not.toContain("sk-right");
  expect(await (await http.guest("/")).text()).not.toContain("Choose your AI provider");
  await http.guest("/providers/stages", form({}));
  expect(await (await http.guest("/models")).text()).not.toContain("In use: talker");
});
