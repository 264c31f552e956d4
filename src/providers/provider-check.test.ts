import { afterEach, describe, expect, setSystemTime, test } from "bun:test";
import { failureOf } from "../../test/failure-of.ts";
import type { Stage, StageEndpoint } from "../domain/stage.ts";
import { ProviderCheck } from "./provider-check.ts";

interface FakeProvider extends AsyncDisposable {
  url: string;
  /** Path and `Authorization` of each request so far. */
  seen: string[];
  /** What `/models` answers from now on. */
  status: number;
  realtime: boolean;
}

function startProvider(): FakeProvider {
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request, upgrader) {
      const { pathname, search } = new URL(request.url);
      provider.seen.push(`${pathname}${search} ${request.headers.get("Authorization")}`);
      if (pathname !== "/v1/realtime") {
        return Response.json({ data: [] }, { status: provider.status });
      }
      if (!provider.realtime) return new Response("no", { status: 404 });
      return upgrader.upgrade(request) ? undefined : new Response("no", { status: 400 });
    },
    websocket: {
      message: (socket) => {
        socket.send(
          JSON.stringify({ type: "session.updated", session: { type: "transcription" } }),
        );
      },
    },
  });
  const provider: FakeProvider = {
    url: `http://127.0.0.1:${server.port}/v1`,
    seen: [],
    status: 200,
    realtime: false,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
  return provider;
}

function at(baseURL: string, stage: Stage = "llm", apiKey: string | undefined = "sk-1") {
  return { stage, baseURL, apiKey };
}

/** The same, set by the stage's variables. */
function set(baseURL: string, stage: Stage) {
  return { ...at(baseURL, stage), fixedBy: `${stage.toUpperCase()}_BASE_URL` };
}

async function assertReady({ servers }: ProviderCheck, providers: StageEndpoint[]): Promise<void> {
  await Promise.all(providers.map((provider) => servers.find(provider)));
}

afterEach(() => {
  setSystemTime();
});

describe("a provider before a session", () => {
  test("that answers is ready", async () => {
    await using provider = startProvider();
    await assertReady(new ProviderCheck(), [at(provider.url)]);
    expect(provider.seen).toEqual(["/v1/models Bearer sk-1"]);
  });

  test("without a key of its own gets no key", async () => {
    await using provider = startProvider();
    const keyless: StageEndpoint = { stage: "llm", baseURL: provider.url, apiKey: undefined };
    await assertReady(new ProviderCheck(), [keyless]);
    expect(provider.seen).toEqual(["/v1/models null"]);
  });

  test.each([401, 403])("that answers %i refuses the key: no session starts", async (status) => {
    await using provider = startProvider();
    provider.status = status;
    const failure = await failureOf(assertReady(new ProviderCheck(), [set(provider.url, "tts")]));
    expect(failure.kind).toBe("upstream_failed");
    expect(failure.message).toContain(`(${status}). Check TTS_API_KEY.`);
    expect(failure.message).not.toContain("sk-1");
  });

  test.each([429, 500])(
    "that answers %i counts as reachable; the session shows the rest",
    async (status) => {
      await using provider = startProvider();
      provider.status = status;
      await assertReady(new ProviderCheck(), [at(provider.url)]);
      expect(provider.seen).toHaveLength(1);
    },
  );

  test("that is down is named with the variables to look at", async () => {
    const provider = startProvider();
    await provider[Symbol.asyncDispose]();
    const failure = await failureOf(assertReady(new ProviderCheck(), [set(provider.url, "stt")]));
    expect(failure.kind).toBe("upstream_failed");
    expect(failure.message).toContain(new URL(provider.url).host);
    expect(failure.message).toContain("Is it running? Check STT_BASE_URL.");
    expect(failure.message).not.toContain("sk-1");
  });

  test("that is OpenAI's needs a key; without one nothing is asked", async () => {
    const openai: StageEndpoint = {
      stage: "llm",
      baseURL: "https://api.openai.com/v1",
      apiKey: undefined,
    };
    const failure = await failureOf(assertReady(new ProviderCheck(), [openai]));
    expect(failure.kind).toBe("unavailable");
    expect(failure.message).toContain("OPENAI_API_KEY");
  });

  test("with a key no header can hold is refused without showing it", async () => {
    await using provider = startProvider();
    const odd = at(provider.url, "llm", "sk-“1”");
    const failure = await failureOf(assertReady(new ProviderCheck(), [odd]));
    expect(failure.kind).toBe("upstream_failed");
    expect(failure.message).not.toContain("sk-");
    expect(provider.seen).toEqual([]);
  });
});

describe("what is known of a provider", () => {
  test("is asked once for three stages of one server, and once a minute", async () => {
    await using provider = startProvider();
    const check = new ProviderCheck();
    const stages = [at(provider.url, "stt"), at(provider.url, "llm"), at(provider.url, "tts")];
    setSystemTime(new Date("2026-01-01T00:00:00Z"));
    await assertReady(check, stages);
    await assertReady(check, stages);
    setSystemTime(new Date("2026-01-01T00:00:59Z"));
    await assertReady(check, stages);
    expect(provider.seen).toHaveLength(1);
    setSystemTime(new Date("2026-01-01T00:01:01Z"));
    await assertReady(check, stages);
    expect(provider.seen).toHaveLength(2);
  });

  test("is asked for each key", async () => {
    await using provider = startProvider();
    const keys = [at(provider.url, "stt", "sk-1"), at(provider.url, "llm", "sk-2")];
    await assertReady(new ProviderCheck(), keys);
    expect(provider.seen.sort()).toEqual(["/v1/models Bearer sk-1", "/v1/models Bearer sk-2"]);
  });

  test("is not kept when it was bad: the next start asks again", async () => {
    await using provider = startProvider();
    const check = new ProviderCheck();
    provider.status = 401;
    await failureOf(assertReady(check, [at(provider.url)]));
    provider.status = 200;
    await assertReady(check, [at(provider.url)]);
    expect(provider.seen).toHaveLength(2);
  });
});

describe("realtime transcription", () => {
  test("exists when the server confirms it on the WebSocket, and is asked for once", async () => {
    await using provider = startProvider();
    provider.realtime = true;
    const check = new ProviderCheck();
    expect(await check.answersRealtime(at(provider.url, "stt"), "whisper")).toBe(true);
    expect(await check.answersRealtime(at(provider.url, "stt"), "whisper")).toBe(true);
    expect(provider.seen).toEqual(["/v1/realtime?intent=transcription&model=whisper Bearer sk-1"]);
  });

  test("is not there when the server answers 404; after a minute it is asked again", async () => {
    await using provider = startProvider();
    const check = new ProviderCheck();
    setSystemTime(new Date("2026-01-01T00:00:00Z"));
    expect(await check.answersRealtime(at(provider.url, "stt"), "m")).toBe(false);
    provider.realtime = true;
    expect(await check.answersRealtime(at(provider.url, "stt"), "m")).toBe(false);
    setSystemTime(new Date("2026-01-01T00:01:01Z"));
    expect(await check.answersRealtime(at(provider.url, "stt"), "m")).toBe(true);
    expect(provider.seen).toHaveLength(2);
  });

  test("that fails after all is not used for an hour, and then asked for again", async () => {
    await using provider = startProvider();
    provider.realtime = true;
    const check = new ProviderCheck();
    const asked = () => check.answersRealtime(at(provider.url, "stt"), "m");
    setSystemTime(new Date("2026-01-01T00:00:00Z"));
    expect(await asked()).toBe(true);
    check.realtimeFailed(at(provider.url, "stt"), "m");
    setSystemTime(new Date("2026-01-01T00:59:00Z"));
    expect(await asked()).toBe(false);
    setSystemTime(new Date("2026-01-01T01:01:00Z"));
    expect(await asked()).toBe(true);
    expect(provider.seen).toHaveLength(2);
  });

  test("that works is asked for again after an hour", async () => {
    await using provider = startProvider();
    provider.realtime = true;
    const check = new ProviderCheck();
    setSystemTime(new Date("2026-01-01T00:00:00Z"));
    expect(await check.answersRealtime(at(provider.url, "stt"), "m")).toBe(true);
    provider.realtime = false;
    setSystemTime(new Date("2026-01-01T01:01:00Z"));
    expect(await check.answersRealtime(at(provider.url, "stt"), "m")).toBe(false);
  });

  test("is asked for each key", async () => {
    await using provider = startProvider();
    const check = new ProviderCheck();
    await check.answersRealtime(at(provider.url, "stt", "sk-1"), "m");
    await check.answersRealtime(at(provider.url, "stt", "sk-2"), "m");
    expect(provider.seen).toHaveLength(2);
  });

  test("is asked for each model", async () => {
    await using provider = startProvider();
    const check = new ProviderCheck();
    await check.answersRealtime(at(provider.url, "stt"), "one & two");
    await check.answersRealtime(at(provider.url, "stt"), "three");
    expect(provider.seen.map((line) => /model=(\S+)/.exec(line)?.[1])).toEqual([
      "one+%26+two",
      "three",
    ]);
  });

  test("is not there when the server is down", async () => {
    const provider = startProvider();
    await provider[Symbol.asyncDispose]();
    expect(await new ProviderCheck().answersRealtime(at(provider.url, "stt"), "m")).toBe(false);
  });
});

test("a provider that takes the question and never answers is given up", async () => {
  await using server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: () => new Promise<Response>(() => {}),
  });
  const check = new ProviderCheck(50);
  const provider = at(server.url.origin, "stt");
  expect((await failureOf(assertReady(check, [provider]))).kind).toBe("upstream_failed");
  expect(await check.answersRealtime(provider, "m")).toBe(false);
});
