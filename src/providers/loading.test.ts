import { describe, expect, test } from "bun:test";
import { type Loading, loadingOf, ProviderTimeout, whenLoaded } from "./loading.ts";
import { ModelMemory } from "./model-memory.ts";

const SERVER = { baseURL: "http://127.0.0.1:1/v1", model: "m" };

/** A model at a server; `warm`: it has just answered. */
function modelThatIs(state: "warm" | "cold"): Loading & { told: number } {
  const facts = new ModelMemory().of(SERVER);
  if (state === "warm") facts.answeredAt = Date.now();
  const loading = {
    ...{ facts, warmMs: 60_000, maxMs: 60_000, told: 0 },
    onLoading: () => {
      loading.told += 1;
    },
  };
  return loading;
}

/** A request that is answered when the test says so. */
function openRequest() {
  const answer = Promise.withResolvers<Response>();
  let wire: AbortSignal | undefined;
  const send = (signal: AbortSignal) => {
    wire = signal;
    signal.addEventListener("abort", () => answer.reject(signal.reason));
    return answer.promise;
  };
  return { send, answer: (body: string) => answer.resolve(new Response(body)), wire: () => wire };
}

async function outcome(work: Promise<Response>): Promise<unknown> {
  try {
    return await (await work).text();
  } catch (error) {
    return error;
  }
}

describe("a request that nobody waits for any more", () => {
  test("stays open while the model is not loaded, and is closed once it answers", async () => {
    const { facts, ...loading } = modelThatIs("cold");
    const request = openRequest();
    const caller = new AbortController();
    const work = outcome(whenLoaded(request.send, 10, { ...loading, facts }, caller.signal));
    caller.abort(new Error("interrupted"));
    expect(String(await work)).toContain("interrupted");
    expect(request.wire()?.aborted).toBe(false);
    expect(facts.abandoned.size).toBe(1);
    const closed = new Promise((resolve) => request.wire()?.addEventListener("abort", resolve));
    request.answer("Hello");
    await closed;
    expect(facts.abandoned.size).toBe(0);
    expect(facts.answeredAt).toBeGreaterThan(0);
  });

  test("is closed at once when the model is loaded", async () => {
    const request = openRequest();
    const caller = new AbortController();
    const work = outcome(whenLoaded(request.send, 60_000, modelThatIs("warm"), caller.signal));
    caller.abort(new Error("interrupted"));
    await work;
    expect(request.wire()?.aborted).toBe(true);
  });

  test("makes way when too many are open", async () => {
    const loading = modelThatIs("cold");
    const requests = Array.from({ length: 6 }, openRequest);
    for (const { send } of requests) {
      const caller = new AbortController();
      const work = outcome(whenLoaded(send, 10, loading, caller.signal));
      caller.abort();
      await work;
    }
    expect(requests.map(({ wire }) => wire()?.aborted)).toEqual([
      ...[true, true],
      ...[false, false, false, false],
    ]);
  });
});

describe("a model", () => {
  test("that is loaded and silent is given up, but may go on; the next request is patient", async () => {
    const loading = modelThatIs("warm");
    const request = openRequest();
    const silent = await outcome(whenLoaded(request.send, 20, loading, undefined));
    expect(silent).toBeInstanceOf(ProviderTimeout);
    expect(request.wire()?.aborted).toBe(false);
    const next = openRequest();
    const work = outcome(whenLoaded(next.send, 20, loading, undefined));
    await Bun.sleep(60);
    next.answer("Hello");
    expect(await work).toBe("Hello");
    request.answer("");
  });

  test("that was slow before is given more time", async () => {
    const loading = modelThatIs("warm");
    loading.facts.slowestMs = 60_000;
    const request = openRequest();
    const work = outcome(whenLoaded(request.send, 20, loading, undefined));
    await Bun.sleep(60);
    request.answer("Hello");
    expect(await work).toBe("Hello");
  });

  test("that is loading, as its server says, is asked again, and the person is told", async () => {
    const loading = modelThatIs("warm");
    let requests = 0;
    const send = async () => {
      requests += 1;
      const busy = { error: { code: 503, message: "Loading model", type: "unavailable_error" } };
      return requests === 1 ? Response.json(busy, { status: 503 }) : new Response("Hello");
    };
    expect(await outcome(whenLoaded(send, 20, loading, undefined))).toBe("Hello");
    expect(loading.told).toBe(1);
  });

  test("whose server is overloaded is not asked again", async () => {
    const send = async () => Response.json({ message: "overloaded" }, { status: 503 });
    const response = await whenLoaded(send, 20, modelThatIs("cold"), undefined);
    expect(response.status).toBe(503);
    expect(await response.text()).toContain("overloaded");
  });

  test("of OpenAI need not be loaded", () => {
    const openai = { baseURL: "https://api.openai.com/v1", model: "m" };
    expect(loadingOf("llm", openai, new ModelMemory(), undefined)).toBeUndefined();
    expect(loadingOf("llm", SERVER, new ModelMemory(), undefined)).toBeDefined();
  });
});

test("what is known of a model is forgotten when there are too many", () => {
  const memory = new ModelMemory();
  memory.of(SERVER).thinks = true;
  expect(memory.of(SERVER).thinks).toBe(true);
  for (let other = 0; other < 200; other++) memory.of({ ...SERVER, model: `m${other}` });
  expect(memory.of(SERVER).thinks).toBe(false);
});

describe("a server that is slow by nature", () => {
  test("is given as long for its next answer as for the first, which seemed to load the model", async () => {
    const loading = modelThatIs("cold");
    const first = openRequest();
    const answered = outcome(whenLoaded(first.send, 10, loading, null));
    setTimeout(() => first.answer("Hello"), 20);
    expect(await answered).toBe("Hello");
    expect(loading.facts.loadMs).toBeGreaterThan(0);
    loading.facts.loadMs = 60_000;
    const second = openRequest();
    const again = outcome(whenLoaded(second.send, 10, loading, null));
    setTimeout(() => second.answer("Hello again"), 60);
    expect(await again).toBe("Hello again");
    expect(loading.facts.loadMs).toBe(0);
    expect(loading.facts.slowestMs).toBeGreaterThan(10);
  });
});
