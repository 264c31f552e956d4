import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { failureOf } from "../../test/failure-of.ts";
import { type StandIn, startStandIn } from "../../test/stand-in/openai.ts";
import {
  falseSuccess,
  modelList,
  noModels,
  redirects,
  servedAt,
  strictNames,
  voiceList,
  webPage,
} from "../../test/stand-in/quirks/setup.ts";
import type { Quirk } from "../../test/stand-in/quirks.ts";
import { serverAddress } from "../domain/server-address.ts";
import { ProviderServers } from "./provider-servers.ts";

let standIn: StandIn;
let origin: string;

beforeAll(async () => {
  standIn = await startStandIn();
  origin = new URL(standIn.url).origin;
});
afterAll(() => standIn[Symbol.asyncDispose]());
beforeEach(() => {
  standIn.quirks = [];
  standIn.heal();
});

const servers = () => new ProviderServers(2000);
const wish = (baseURL: string, more: { model?: string; voice?: string } = {}) => ({
  baseURL: serverAddress(baseURL) ?? baseURL,
  apiKey: undefined,
  ...more,
});

describe("an address", () => {
  test.each([
    ["", "/v1", "/v1"],
    ["/", "/v1", "/v1"],
    ["/v1", "/v1", "/v1"],
    ["/v1/", "/v1", "/v1"],
    ["/V1", "/v1", "/v1"],
    ["/v1/chat/completions", "/v1", "/v1"],
    ["/v1/models", "/v1", "/v1"],
    ["/v1/audio/speech", "/v1", "/v1"],
    ["/api", "/v1", "/v1"],
    ["/api/chat", "/v1", "/v1"],
    ["/v1", "/openai/v1", "/openai/v1"],
    ["", "/openai/v1", "/openai/v1"],
    ["/openai", "/openai/v1", "/openai/v1"],
    ["/api/openai/v1", "/api/openai/v1", "/api/openai/v1"],
    ["/engines", "/engines/v1", "/engines/v1"],
    ["/v1beta", "/v1beta/openai", "/v1beta/openai"],
    ["/v1", "", ""],
    ["", "/api/v1", "/api/v1"],
  ])("that ends in “%s” leads to the API at “%s”", async (written, place, found) => {
    standIn.quirks = [servedAt(place)];
    const settled = await servers().settle("llm", wish(`${origin}${written}`));
    expect(settled.baseURL).toBe(`${origin}${found}`);
  });

  test("of a server that answers 200 to everything still leads to its API", async () => {
    standIn.quirks = [falseSuccess];
    expect((await servers().settle("llm", wish(origin))).baseURL).toBe(standIn.url);
  });

  test.each(["llm", "tts", "stt"] as const)(
    "without a list of models is taken if it serves %s",
    async (stage) => {
      standIn.quirks = [servedAt("/v1"), noModels];
      expect((await servers().settle(stage, wish(origin))).baseURL).toBe(standIn.url);
    },
  );

  test("of a server that answers 200 even to an empty request is taken", async () => {
    await using whisper = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: ({ method, url }) =>
        method === "POST" && url.endsWith("/v1/audio/transcriptions")
          ? Response.json({ error: "no 'file' field in the request" })
          : new Response("File Not Found", { status: 404 }),
    });
    const { baseURL } = await servers().settle("stt", wish(whisper.url.origin));
    expect(baseURL).toBe(`${whisper.url.origin}/v1`);
  });

  test("of a web page is refused with what to write", async () => {
    standIn.quirks = [webPage];
    const failure = await failureOf(servers().settle("llm", wish(`${origin}/v1`)));
    expect(failure.message).toContain("There is a web page at this address, but no server with");
    expect(failure.message).toContain(`${origin}/v1`);
  });

  test("of another service is refused", async () => {
    await using other = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: () => Response.json({ detail: "Not Found" }, { status: 404 }),
    });
    const failure = await failureOf(servers().settle("llm", wish(other.url.origin)));
    expect(failure.message).toContain("no server with OpenAI's API");
  });
});

describe("a redirect", () => {
  test("to a slash at the end is followed", async () => {
    standIn.quirks = [
      redirects(/\/models$/, (url) => `${url.origin}${url.pathname}/`),
      { ...modelList({ data: [{ id: "one" }] }), path: /\/models\/$/ },
    ];
    expect(await servers().settle("llm", wish(standIn.url))).toMatchObject({
      baseURL: standIn.url,
      model: "one",
    });
  });

  test("within the server shows where the API is", async () => {
    standIn.quirks = [redirects(/^\/llm\//, ({ origin }) => `${origin}/v1/models`, 301)];
    expect((await servers().settle("llm", wish(`${origin}/llm`))).baseURL).toBe(standIn.url);
  });

  test("to another server is not followed: its address is named, and the key stays", async () => {
    const seen: string[] = [];
    await using other = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch(request) {
        seen.push(request.url);
        return Response.json({ data: [] });
      },
    });
    standIn.quirks = [redirects(/./, () => `${other.url.origin}/v1/models`)];
    const found = servers().settle("llm", { ...wish(standIn.url), apiKey: "sk-1" });
    expect((await failureOf(found)).message).toContain(`enter its address: ${other.url.origin}/v1`);
    expect(seen).toEqual([]);
  });
});

describe("names", () => {
  const kokoro = [
    modelList({ object: "list", data: [{ id: "kokoro" }] }),
    voiceList({ voices: ["af_heart", "af_sky"] }),
  ];

  test("of which there is one are taken", async () => {
    standIn.quirks = [
      modelList(["kokoro"]),
      voiceList([{ voice_id: "af_heart" }], "/v1/audio/speech/voices"),
    ];
    const settled = await servers().settle("tts", wish(standIn.url), true);
    expect(settled).toMatchObject({ model: "kokoro", voice: "af_heart" });
  });

  test("of OpenAI are not sent to a server with others", async () => {
    standIn.quirks = kokoro;
    const defaults = { model: "gpt-4o-mini-tts", voice: "alloy" };
    expect(await servers().settle("tts", wish(standIn.url, defaults))).toMatchObject({
      model: "kokoro",
      voice: "af_heart",
    });
    standIn.quirks = [modelList({ models: [{ name: "llama3.2:latest" }] })];
    expect(
      await servers().settle("llm", wish(standIn.url, { model: "gpt-4o-mini" })),
    ).toMatchObject({ model: "llama3.2:latest" });
  });

  test("of OpenAI are kept where they are listed", async () => {
    const defaults = { model: "gpt-4o-mini-tts", voice: "alloy" };
    expect(await servers().settle("tts", wish(standIn.url, defaults))).toMatchObject(defaults);
  });

  test("of which there are several have to be chosen", async () => {
    standIn.quirks = [modelList({ data: [{ id: "one" }, { id: "two" }, { id: "my-embedding" }] })];
    const failure = await failureOf(servers().settle("llm", wish(standIn.url)));
    expect(failure.message).toContain("lists several models for the language model: one, two.");
    expect(failure.message).toContain("LLM_MODEL");
    standIn.quirks = kokoro;
    const voice = await failureOf(servers().settle("tts", wish(standIn.url), true));
    expect(voice.message).toContain("lists several voices: af_heart, af_sky. Choose one.");
  });

  test("that are mistyped are refused with those that are listed", async () => {
    standIn.quirks = kokoro;
    const typo = wish(standIn.url, { model: "kokro" });
    const failure = await failureOf(servers().settle("tts", typo, true));
    expect(failure.message).toBe("This server lists kokoro; “kokro” is not among them.");
  });

  test("that are not listed are tried, and refused if the server refuses them", async () => {
    standIn.quirks = [...kokoro, strictNames({ models: ["kokoro"], voices: ["af_heart"] })];
    const asked = { model: "kokoro", voice: "somebody-else" };
    const failure = await failureOf(servers().settle("tts", wish(standIn.url, asked), true));
    expect(failure.message).toContain("“somebody-else” is not among them");
    standIn.quirks = kokoro;
    expect(await servers().settle("tts", wish(standIn.url, asked), true)).toMatchObject(asked);
  });

  test("mean the listed one where servers add to them", async () => {
    standIn.quirks = [modelList({ data: [{ id: "llama3.2:latest" }, { id: "other" }] })];
    expect(
      await servers().settle("llm", wish(standIn.url, { model: "Llama3.2" }), true),
    ).toMatchObject({ model: "llama3.2:latest" });
    standIn.quirks = kokoro;
    const mixed = { model: "kokoro", voice: "af_heart(2)+af_sky(1)" };
    expect(await servers().settle("tts", wish(standIn.url, mixed), true)).toMatchObject(mixed);
  });

  test("are read over several pages", async () => {
    standIn.quirks = [
      {
        ...modelList({}),
        answer: async (request) => {
          const second = new URL(request.url).searchParams.get("after") === "one";
          return Response.json(
            second ? { data: [{ id: "two" }] } : { data: [{ id: "one" }], has_more: true },
          );
        },
      },
    ];
    const { models } = await servers().offered("llm", wish(standIn.url));
    expect(models).toEqual(["one", "two"]);
  });

  test("of a language model do not make a server serve the other stages", async () => {
    standIn.quirks = [
      modelList({ data: [{ id: "llama3.2:latest" }] }),
      { ...noModels, path: /\/audio\// },
    ];
    const failure = await failureOf(servers().settle("stt", wish(standIn.url), true));
    expect(failure.message).toContain("does not offer speech recognition");
  });
});

test("a server without a list is asked once for each stage", async () => {
  let asked = 0;
  const counting: Quirk = {
    ...noModels,
    path: /\/v1\//,
    answer: async (request, next) => {
      asked += 1;
      return next(request);
    },
  };
  standIn.quirks = [counting, noModels];
  const all = servers();
  const stages = ["stt", "llm", "tts", "stt", "llm", "tts"] as const;
  for (const stage of stages.slice(0, 3)) await all.settle(stage, wish(standIn.url));
  const first = asked;
  for (const stage of stages) await all.find({ stage, baseURL: standIn.url, apiKey: undefined });
  expect(asked).toBe(first);
});

test("a server without a list that loads its model at the first request is not given up", async () => {
  const loads: Quirk = {
    name: "loads its model at any request",
    report: "ollama/ollama#8006",
    path: /chat/,
    answer: ({ signal }) =>
      new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      }),
  };
  standIn.quirks = [noModels, loads];
  expect((await servers().settle("llm", wish(standIn.url))).baseURL).toBe(standIn.url);
});

test("a server that was down is asked again at once", async () => {
  const later = servers();
  const { port } = new URL(standIn.url);
  await using first = await startStandIn();
  const { url } = first;
  await first[Symbol.asyncDispose]();
  expect((await failureOf(later.settle("llm", wish(url)))).message).toContain("cannot be reached");
  await using second = await startStandIn({ port: Number(new URL(url).port) });
  expect((await later.settle("llm", wish(url))).baseURL).toBe(second.url);
  expect(port).not.toBe("");
});
