import { describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { Hono } from "hono";
import { form, json, openHttp, problemOf, serveHttp } from "../../test/http-harness.ts";
import { exchange } from "../../test/raw-http.ts";

const HOST = "Host: localhost\r\n";
const CHUNKED = "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
/** What may follow the head of a request. */
const BODIES = { none: "\r\n", length: "Content-Length: 5\r\n\r\nhello", chunked: CHUNKED };

/** Forms of a request's first line and its `Host` that name nothing that Parley serves. */
const NO_ADDRESS: [form: string, head: string][] = [
  ...["*", "host:80", "localhost:443", "/session", "//host/session", "http://localhost/session"],
  ...["http:", "://", ":80", "[::1]:80", "x:y", "@", "\\", "session", "ftp://x/y", "data:,x"],
].map((target) => [`CONNECT ${target}`, `CONNECT ${target} HTTP/1.1\r\n${HOST}`]);
for (const host of ["", "a b", "[::1", "a/b?c#d", "a@b", "a:99999", "a\xff", "%00", "a\\b"]) {
  NO_ADDRESS.push([`Host ${JSON.stringify(host)}`, `POST /session HTTP/1.1\r\nHost: ${host}\r\n`]);
}
NO_ADDRESS.push(["no Host", "POST /session HTTP/1.0\r\n"]);

describe("a request that names no address of Parley's gets a problem document at once:", () => {
  test.each(NO_ADDRESS)("%s", async (_form, head) => {
    await using http = openHttp({ variables: { AUTH_DISABLED: "true" } });
    await using server = serveHttp(http);
    for (const [what, body] of Object.entries(BODIES)) {
      // HTTP/1.0 has no chunks.
      if (what === "chunked" && head.includes("HTTP/1.0")) continue;
      const { status, headers, body: text } = await exchange(Number(server.port), head + body);
      expect({ what, status }).toEqual({ what, status: 400 });
      expect(headers.get("content-type")).toBe("application/problem+json");
      expect(headers.get("x-request-id")).toBeDefined();
      expect(JSON.parse(text)).toMatchObject({ status: 400, title: "Invalid request" });
    }
    expect(http.logger.lines.filter(({ level }) => Number(level) > 30)).toEqual([]);
    expect(http.manager.started).toEqual([]);
  });
});

describe("an odd request that names an address is answered as any other:", () => {
  test.each([
    ["GET http://localhost/health", 200],
    ["GET http://elsewhere.example/health", 200],
    ["HEAD /health", 200],
    ["GET //health", 404],
    ["GET //elsewhere.example/health", 404],
    ["GET /health/../health", 200],
    ["OPTIONS /health", 204],
    ["TRACE /health", 404],
    ["PROPFIND /health", 404],
    ["GET /%", 404],
    ["GET /%ff%00", 404],
  ])("%s", async (line, expected) => {
    await using http = openHttp();
    await using server = serveHttp(http);
    for (const body of Object.values(BODIES)) {
      const request = `${line} HTTP/1.1\r\n${HOST}${body}`;
      expect((await exchange(Number(server.port), request)).status).toBe(expected);
    }
  });
});

test("a body beyond any limit is refused by its length, and one without a length while it comes", async () => {
  await using http = openHttp();
  await using server = serveHttp(http);
  const chunk = `10000\r\n${"x".repeat(0x10000)}\r\n`;
  for (const framing of [
    "Content-Length: 9007199254740991\r\n\r\n{",
    `Transfer-Encoding: chunked\r\n\r\n${chunk.repeat(8)}`,
  ]) {
    const request = `POST /session HTTP/1.1\r\n${HOST}${framing}`;
    const { status, body } = await exchange(Number(server.port), request);
    expect(status).toBe(413);
    expect(JSON.parse(body)).toMatchObject({ title: "Too large" });
  }
});

/** Bun checks its times every 4 s. */
describe("with times of one second", () => {
  const SLOW_MS = 9000;
  const later = () => new Promise<void>((resolve) => setTimeout(resolve, SLOW_MS));
  const slow = new Hono();
  slow.post("/slow", async (c) => {
    await later();
    return c.text(await c.req.text());
  });
  slow.get("/large", (c) => c.text("x".repeat(32 * 1024 * 1024)));

  test.concurrent("an answer may take longer than its request", async () => {
    await using http = openHttp({ bounds: { arrivalS: 1 }, routes: [slow] });
    await using server = serveHttp(http, 1);
    const response = await fetch(`${server.url}slow`, { method: "POST", body: "here" });
    expect(await response.text()).toBe("here");
  });

  test.concurrent("a body that drips is cut off, also on a connection used before", async () => {
    await using http = openHttp({ bounds: { arrivalS: 1 } });
    await using server = serveHttp(http, 1);
    const socket = connect(Number(server.port), "127.0.0.1");
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.on("error", () => {});
    socket.write(`GET /health HTTP/1.1\r\n${HOST}\r\n`);
    await new Promise((resolve) => socket.once("data", resolve));
    socket.write(`POST /session HTTP/1.1\r\n${HOST}Content-Length: 1000\r\n\r\n`);
    const drip = setInterval(() => socket.write(" "), 200);
    await closed;
    clearInterval(drip);
    expect(http.manager.started).toEqual([]);
    expect(http.logger.lines.filter(({ level }) => Number(level) > 30)).toEqual([]);
  });

  test.concurrent("an answer that is not read, and a stream, end after their own time", async () => {
    await using http = openHttp({ bounds: { sendingS: 1 }, routes: [slow] });
    await using server = serveHttp(http);
    const read = async (path: string) => {
      const response = await fetch(`${server.url}${path}`);
      if (path === "large") await later();
      return (await response.text().catch(() => "")).length;
    };
    const [large, events] = await Promise.all([read("large"), read("offer/events")]);
    expect(large).toBeLessThan(32 * 1024 * 1024);
    expect(events).toBeLessThan(32 * 1024 * 1024);
  });
});

test("an answer that takes too long is 503, and its work is aborted", async () => {
  const stopped = Promise.withResolvers<void>();
  await using http = openHttp({
    bounds: { answerMs: 20 },
    testStage: (_stage, _recording, signal) => {
      signal.addEventListener("abort", () => stopped.resolve());
      return new Promise(() => {});
    },
  });
  const response = await http.guest("/providers/test/llm", form({ a: "b" }));
  expect(response.status).toBe(503);
  expect(response.headers.get("Retry-After")).toBe("5");
  expect((await problemOf(response)).detail).toBe("Parley took too long to answer. Try again.");
  await stopped.promise;
});

test("a caller that goes away stops the work for it, and is no error", async () => {
  const [begun, stopped] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  await using http = openHttp({
    testStage: (_stage, _recording, signal) => {
      begun.resolve();
      const { promise, reject } = Promise.withResolvers<never>();
      signal.addEventListener("abort", () => {
        reject(signal.reason);
        stopped.resolve();
      });
      return promise;
    },
  });
  await using server = serveHttp(http);
  const socket = connect(Number(server.port), "127.0.0.1");
  const fields = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\r\na=b";
  socket.write(`POST /providers/test/llm HTTP/1.1\r\n${HOST}${fields}`);
  await begun.promise;
  socket.destroy();
  await stopped.promise;
  expect(http.logger.lines.filter(({ level }) => Number(level) > 30)).toEqual([]);
});

test("more requests than Parley answers at once are 503 and say when to come back", async () => {
  const [begun, finish] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const waiting = new Hono();
  waiting.get("/wait", async (c) => {
    begun.resolve();
    await finish.promise;
    return c.text("done");
  });
  await using http = openHttp({ bounds: { maxPending: 1 }, routes: [waiting] });
  await using server = serveHttp(http);
  const first = fetch(`${server.url}wait`);
  await begun.promise;
  const second = await fetch(`${server.url}token`, json({}));
  expect(second.status).toBe(503);
  expect(second.headers.get("Retry-After")).toBe("5");
  finish.resolve();
  expect(await (await first).text()).toBe("done");
  expect((await fetch(`${server.url}token`, json({}))).status).toBe(201);
});
