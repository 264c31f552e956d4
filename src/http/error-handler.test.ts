import { expect, test } from "bun:test";
import { Hono } from "hono";
import { openHttp, problemOf } from "../../test/http-harness.ts";
import { answerOutside } from "./error-handler.tsx";
import { listen } from "./listen.ts";
import { liveFragment } from "./live-fragment.ts";
import { transcriptSocketHandlers } from "./routes/transcript-socket.ts";

/** An error whose message throws when it is read. */
const unreadable = new Error();
Object.defineProperty(unreadable, "message", {
  get() {
    throw new Error("secret getter");
  },
});
const circular: { cause?: unknown } = new Error("secret");
circular.cause = circular;
const ODD: [string, unknown][] = [
  ["undefined", undefined],
  ["a text", "secret"],
  ["a symbol", Symbol("secret")],
  ["an object without a prototype", Object.create(null)],
  ["a frozen object", Object.freeze({ name: "AbortError", message: "secret" })],
  ["a frozen error", Object.freeze(new Error("secret"))],
  ["an error that cannot be read", unreadable],
  ["an error that caused itself", circular],
  ["several errors", new AggregateError([new Error("secret"), "secret"], "secret")],
  ["an error of DOM", new DOMException("secret", "AbortError")],
  ["a response", new Response("secret", { status: 200 })],
];

/** How a program, a browser and HTMX ask. */
const CALLERS = [
  new Headers(),
  new Headers({ Accept: "text/html" }),
  new Headers({ "HX-Request": "true" }),
];

test.each(ODD)(
  "an unexpected error may be %s: it is logged once and answered with 500",
  async (_what, thrown) => {
    const odd = new Hono();
    odd.get("/odd", () => {
      throw thrown;
    });
    odd.get("/odd/later", () => Promise.reject(thrown));
    await using http = openHttp({ routes: [odd] });
    for (const path of ["/odd", "/odd/later"]) {
      for (const headers of CALLERS) {
        const before = http.logger.lines.length;
        const response = await http.guest(path, { headers });
        expect(response.status).toBe(500);
        expect(response.headers.get("Content-Security-Policy")).toContain("default-src 'none'");
        expect(await response.text()).not.toContain("secret");
        const lines = http.logger.lines.slice(before);
        expect(lines.map(({ level, msg }) => [level, msg])).toEqual([
          [50, "a request failed unexpectedly"],
          [30, "request"],
        ]);
        const id = response.headers.get("X-Request-Id");
        expect(lines.map(({ request_id }) => request_id)).toEqual([id, id]);
      }
    }
  },
);

test("an error in the middle of a stream of events is logged once, and the stream goes on", async () => {
  const failing = new Hono();
  let change = () => {};
  let fails = false;
  failing.get("/events", (c) =>
    liveFragment(
      c,
      (onChange) => {
        change = onChange;
        return { [Symbol.dispose]: () => {} };
      },
      async () => {
        if (fails) throw new Error("secret");
        return "<p>fine</p>";
      },
    ),
  );
  await using http = openHttp({ routes: [failing] });
  const response = await http.guest("/events");
  const reader = (response.body ?? new ReadableStream()).getReader();
  const next = async () => new TextDecoder().decode((await reader.read()).value);
  expect(await next()).toBe("data: <p>fine</p>\n\n");
  fails = true;
  change();
  expect(await next()).toBe("data: \n\n");
  fails = false;
  change();
  expect(await next()).toBe("data: <p>fine</p>\n\n");
  await reader.cancel();
  const errors = http.logger.lines.filter(({ level }) => Number(level) >= 50);
  expect(errors).toMatchObject([{ path: "/events", err: { message: "secret" } }]);
});

test("an error outside of the app is logged once, and answered without its text", async () => {
  await using http = openHttp();
  await using server = listen(
    { host: "127.0.0.1", port: 0 },
    () => Promise.reject(new Error("secret")),
    transcriptSocketHandlers(http.hub),
    answerOutside(http.logger),
  );
  const response = await fetch(server.url);
  expect((await problemOf(response)).status).toBe(500);
  expect(http.logger.lines).toMatchObject([{ level: 50, err: { message: "secret" } }]);
});
