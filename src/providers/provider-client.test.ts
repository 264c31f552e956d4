import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { createServer, type Server, type Socket } from "node:net";
import OpenAI from "openai";
import { createProviderClient, type Timeouts } from "./provider-client.ts";
import { describeProviderError } from "./provider-errors.ts";

const LONG: Timeouts = { answerMs: 60_000, idleMs: 60_000 };

const HEAD =
  "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

function chunk(text: string): string {
  const data = `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: text } }] })}\n\n`;
  return `${Buffer.byteLength(data).toString(16)}\r\n${data}\r\n`;
}

/** A provider that calls `answer` for each connection once the request has arrived. */
class RawProvider {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #closed = Promise.withResolvers<void>();

  constructor(answer: (socket: Socket) => void) {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => this.#closed.resolve());
      socket.once("data", () => answer(socket));
    });
  }

  /** Resolves when a connection is gone. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    const address = this.#server.address();
    if (typeof address !== "object" || address === null) throw new Error("no port");
    return `http://127.0.0.1:${address.port}/v1`;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}

const open: RawProvider[] = [];
afterEach(() => {
  for (const provider of open.splice(0)) provider.close();
});

async function providerThat(answer: (socket: Socket) => void) {
  const provider = new RawProvider(answer);
  open.push(provider);
  return { provider, baseURL: await provider.listen() };
}

/** The words of a streamed chat answer, and how it ended. */
async function chat(client: OpenAI, signal?: AbortSignal) {
  let text = "";
  try {
    const stream = await client.chat.completions.create(
      { model: "m", stream: true, messages: [{ role: "user", content: "hi" }] },
      signal ? { signal } : {},
    );
    for await (const piece of stream) text += piece.choices[0]?.delta.content ?? "";
    return { text, error: undefined };
  } catch (error) {
    return { text, error };
  }
}

function client(baseURL: string, timeouts: Timeouts): OpenAI {
  return createProviderClient({ baseURL, apiKey: "sk-own" }, timeouts);
}

describe("a provider that", () => {
  test("accepts the connection and never answers is given up", async () => {
    const { provider, baseURL } = await providerThat(() => {});
    const { error } = await chat(client(baseURL, { answerMs: 60, idleMs: 60_000 }));
    expect(describeProviderError("llm", error).code).toBe("provider_timeout");
    await provider.closed;
  });

  test("stops in the middle of its stream is given up, and what came before is kept", async () => {
    const { provider, baseURL } = await providerThat((socket) => {
      socket.write(HEAD + chunk("Hello "));
    });
    const { text, error } = await chat(client(baseURL, { answerMs: 60_000, idleMs: 60 }));
    expect(text).toBe("Hello ");
    expect(describeProviderError("llm", error).code).toBe("provider_timeout");
    await provider.closed;
  });

  test("sends its head and then nothing is given up", async () => {
    const { provider, baseURL } = await providerThat((socket) => socket.write(HEAD));
    const { error } = await chat(client(baseURL, { answerMs: 60_000, idleMs: 60 }));
    expect(describeProviderError("llm", error).code).toBe("provider_timeout");
    await provider.closed;
  });

  test("drips is given up, although it never stops", async () => {
    const { provider, baseURL } = await providerThat((socket) => {
      socket.write(HEAD);
      const timer = setInterval(() => socket.write("1\r\n:\r\n"), 10);
      socket.on("close", () => clearInterval(timer));
    });
    const { error } = await chat(client(baseURL, { answerMs: 60_000, idleMs: 60 }));
    expect(describeProviderError("llm", error).code).toBe("provider_timeout");
    await provider.closed;
  });

  test("is cut in the middle of its stream fails as unreachable, not as finished", async () => {
    const { baseURL } = await providerThat((socket) => {
      socket.write(HEAD + chunk("Hello "), () => socket.destroy());
    });
    const { error } = await chat(client(baseURL, LONG));
    expect(describeProviderError("llm", error).code).toBe("provider_unreachable");
  });

  test("closes the connection without a word fails as unreachable", async () => {
    const { baseURL } = await providerThat((socket) => socket.destroy());
    const { error } = await chat(client(baseURL, LONG));
    expect(describeProviderError("llm", error).code).toBe("provider_unreachable");
  });

  test("is slow but steady is heard to the end", async () => {
    const { baseURL } = await providerThat((socket) => {
      let left = 14;
      // Longer in total than the timeout between two chunks.
      const timer = setInterval(() => {
        left -= 1;
        socket.write(left >= 0 ? chunk("a") : "0\r\n\r\n");
        if (left < 0) clearInterval(timer);
      }, 40);
      socket.write(HEAD);
    });
    const { text, error } = await chat(client(baseURL, { answerMs: 500, idleMs: 500 }));
    expect(error).toBeUndefined();
    expect(text).toBe("a".repeat(14));
  });
});

describe("abort", () => {
  test("before the answer ends the request at once", async () => {
    const abort = new AbortController();
    const { provider, baseURL } = await providerThat(() => abort.abort());
    const { error } = await chat(client(baseURL, LONG), abort.signal);
    expect(error).toBeInstanceOf(OpenAI.APIUserAbortError);
    await provider.closed;
  });

  test("in the middle of the stream lets the connection go", async () => {
    const { provider, baseURL } = await providerThat((socket) => socket.write(HEAD + chunk("a")));
    const stream = await client(baseURL, LONG).chat.completions.create({
      model: "m",
      stream: true,
      messages: [],
    });
    for await (const _ of stream) stream.controller.abort();
    await provider.closed;
    expect(stream.controller.signal.aborted).toBe(true);
  });
});

describe("a request that fails at once", () => {
  async function requestsTo(statuses: number[]) {
    let requests = 0;
    using server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch() {
        const status = statuses[requests] ?? 200;
        requests += 1;
        return Response.json({ error: { message: "busy" } }, { status });
      },
    });
    const { error } = await chat(client(server.url.href, LONG));
    return { requests, code: error && describeProviderError("llm", error).code };
  }

  test("is sent again once", async () => {
    expect(await requestsTo([503])).toEqual({ requests: 2, code: undefined });
    expect(await requestsTo([503, 503])).toEqual({ requests: 2, code: "provider_failed" });
    expect(await requestsTo([429, 429])).toEqual({ requests: 2, code: "provider_rate_limited" });
  });

  test("is not sent again when that would change nothing", async () => {
    expect(await requestsTo([401])).toEqual({ requests: 1, code: "provider_unauthorized" });
  });
});

describe("keys", () => {
  const headers: [server: string, authorization: string | null, all: string][] = [];
  const elsewhere = recorder("elsewhere", () => Response.json({}));
  const redirecting = recorder("own", () => Response.redirect(`${elsewhere.url.href}v1`, 307));
  afterAll(async () => {
    await Promise.all([elsewhere.stop(true), redirecting.stop(true)]);
  });

  function recorder(name: string, answer: () => Response) {
    return Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch(request) {
        const all = JSON.stringify([...request.headers]);
        headers.push([name, request.headers.get("Authorization"), all]);
        return answer();
      },
    });
  }

  afterEach(() => {
    headers.length = 0;
  });

  test("a redirect to another server does not take the key along", async () => {
    await chat(client(redirecting.url.href, LONG));
    expect(headers[0]?.[1]).toBe("Bearer sk-own");
    expect(headers.slice(1).map(([, authorization]) => authorization)).toEqual([null]);
  });

  test("a server without a key gets none that is set for others", async () => {
    const before = { ...Bun.env };
    Object.assign(Bun.env, {
      OPENAI_API_KEY: "sk-openai",
      OPENAI_ADMIN_KEY: "sk-admin",
      OPENAI_ORG_ID: "org-secret",
      OPENAI_PROJECT_ID: "proj-secret",
      OPENAI_BASE_URL: "http://127.0.0.1:9/v1",
    });
    try {
      await chat(createProviderClient({ baseURL: elsewhere.url.href, apiKey: undefined }, LONG));
    } finally {
      for (const name of Object.keys(Bun.env)) {
        if (name.startsWith("OPENAI_") && !(name in before)) delete Bun.env[name];
      }
      Object.assign(Bun.env, before);
    }
    expect(headers).toHaveLength(1);
    expect(headers[0]?.[1]).toBe("Bearer none");
    expect(headers[0]?.[2]).not.toMatch(/sk-|-secret/);
  });
});
