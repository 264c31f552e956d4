import { describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { insertSession, sessionOf } from "../../test/database.ts";
import { transcriptEvent } from "../../test/event-log.ts";
import { form, json, openHttp, PASSWORD, problemOf } from "../../test/http-harness.ts";
import { EXPORT_FORMATS } from "../transcript/export.ts";
import { transcriptSocketHandlers } from "./routes/transcript-socket.ts";

const SCRIPT = `"><script>alert(1)</script><img src=x onerror=alert(1)>'`;

/** Words that have broken somebody's program. */
const WORDS: Record<string, string> = {
  nothing: "",
  blank: " \t ",
  script: SCRIPT,
  nul: "a\0b",
  controls: "\u0001\u001b[2J\u007f\u0085",
  "line breaks": "a\r\nSet-Cookie: a=b\r\n\r\n<html>",
  "bidi overrides": "\u202egnp.exe\u2066\u2069",
  "lone surrogates": "\ud800 \udfff",
  "private characters": "\ue000\uffff\u{10ffff}",
  combining: `e${"\u0301".repeat(500)}`,
  sql: "'; DROP TABLE sessions; --",
  path: "../../../etc/passwd",
  template: "{{7*7}}<%= 7*7 %>#{7*7}",
  "percent signs": "%00%zz%E0%A4%A",
  prototype: "__proto__",
  constructor: "constructor",
  long: "x".repeat(7000),
};

/** Values that are no text, where a text is expected. */
const VALUES: unknown[] = [
  null,
  true,
  0,
  -1,
  1e308,
  [],
  {},
  [[[]]],
  { toString: "x", length: 1e9 },
  { __proto__: null, valueOf: "x" },
  ["a", "b"],
];

const FIELDS = [
  "room",
  "identity",
  "name",
  "system_prompt",
  "greeting",
  "voice",
  "language",
  "llm_model",
  "text",
  "room_name",
  "participant_identity",
  "participant_name",
  "participant_metadata",
  "participant_attributes",
  "room_config",
];

/** Every route, with a place for something odd where it has one. */
function routes(odd: string, id: string): [method: string, path: string][] {
  return [
    ["GET", "/"],
    ["GET", `/${odd}`],
    ["GET", `/assets/${odd}`],
    ["GET", `/history?before=${odd}`],
    ["GET", "/history/recent"],
    ["GET", `/history/${odd}`],
    ["GET", `/history/${odd}/row`],
    ["GET", `/history/${odd}/lines`],
    ["GET", `/token?room=${odd}&identity=${odd}&name=${odd}`],
    ["GET", `/token?room=r&room=${odd}&identity[]=${odd}&__proto__[a]=${odd}`],
    ["GET", `/session/${odd}`],
    ["DELETE", `/session/${odd}`],
    ["GET", `/transcripts/${odd}`],
    ["GET", `/transcripts/${id}?format=${odd}`],
    ["GET", `/ws/transcript/${odd}?after=${odd}`],
    ["GET", `/ws/transcript/${id}?after=${odd}`],
    ["GET", `/sign-in?next=${odd}`],
    ["GET", `/health?${odd}`],
    ["GET", `/ready?${odd}=${odd}`],
    ["GET", `/metrics?${odd}`],
    ["PUT", `/session/${odd}`],
    ["POST", `/session/${odd}/message`],
  ];
}

/** What an answer to something hostile may be: anything but a failure of ours, and harmless. */
async function expectHarmless(what: string, response: Response): Promise<void> {
  const { status, headers } = response;
  expect({ what, status, ok: status < 500 }).toEqual({ what, status, ok: true });
  expect(headers.get("Set-Cookie") ?? "").not.toContain("a=b");
  const text = await response.text();
  if ((headers.get("Content-Type") ?? "").includes("html")) {
    expect(text).not.toContain("<script>alert");
    expect(text).not.toContain("<img src=x");
  }
}

describe("hostile input:", () => {
  test.each(Object.entries(WORDS))(
    "%s in every address is answered without failing",
    async (_what, words) => {
      await using http = openHttp();
      const session = sessionOf();
      insertSession(http.database, session);
      const encoded = encodeURIComponent(words.toWellFormed());
      for (const odd of new Set([encoded, words.replace(/[\s#]/g, "").toWellFormed()])) {
        for (const [method, path] of routes(odd, session.id)) {
          for (const accept of ["application/json", "text/html"]) {
            const response = await http.guest(path, { method, headers: { Accept: accept } });
            await expectHarmless(`${method} ${path.slice(0, 100)}`, response);
          }
        }
      }
      expect(http.logger.lines.filter(({ level }) => Number(level) >= 50)).toEqual([]);
    },
  );

  test.each(Object.entries(WORDS))(
    "%s in every field is answered without failing",
    async (_what, words) => {
      await using http = openHttp();
      const session = sessionOf();
      insertSession(http.database, session);
      const paths = ["/token", "/session", `/session/${session.id}/message`];
      for (const field of FIELDS) {
        for (const path of paths) {
          const body = { room: crypto.randomUUID(), text: "hi", [field]: words };
          await expectHarmless(`${path} ${field}`, await http.guest(path, json(body)));
          await expectHarmless(
            `${path} ${field}`,
            await http.guest(path, form({ [field]: words })),
          );
        }
      }
      for (const { id } of http.sessions.live()) {
        for (const path of [`/session/${id}`, `/history/${id}`, `/history/${id}/row`, "/history"]) {
          const response = await http.guest(path, { headers: { Accept: "text/html" } });
          await expectHarmless(path, response);
        }
      }
      expect(http.logger.lines.filter(({ level }) => Number(level) >= 50)).toEqual([]);
    },
  );
});

test.each(Object.entries(WORDS))(
  "%s in the sign-in and its headers opens nothing",
  async (_what, words) => {
    let now = 1_000_000;
    // Far enough apart that no limit applies.
    const later = () => {
      now += 61_000;
      return now;
    };
    await using http = openHttp({ variables: { AUTH_PASSWORD: PASSWORD }, now: later });
    const encoded = encodeURIComponent(words.toWellFormed());
    const attempts = [
      http.guest("/sign-in", form({ password: words, next: words })),
      http.guest("/sign-in", form({ [words]: words })),
      http.guest(`/sign-in?next=${encoded}`),
      http.guest("/session", { headers: { Cookie: `parley=${encoded}` } }),
      http.guest("/session", { headers: { Authorization: `Bearer ${encoded}` } }),
      http.guest(`/${encoded}`, { headers: { "HX-Request": encoded || "true" } }),
    ];
    for (const response of await Promise.all(attempts)) {
      expect(response.headers.get("Set-Cookie")).toBeNull();
      await expectHarmless("sign-in", response);
    }
    const right = await http.guest("/sign-in", form({ password: PASSWORD, next: words }));
    expect(right.status).toBe(303);
    const location = new URL(right.headers.get("Location") ?? "", "http://localhost");
    expect(location.origin).toBe("http://localhost");
  },
);

test("what is no text where a text is expected is refused", async () => {
  await using http = openHttp();
  const session = sessionOf();
  insertSession(http.database, session);
  for (const value of VALUES) {
    for (const [path, field] of [
      ["/session", "room"],
      ["/session", "identity"],
      ["/session", "system_prompt"],
      ["/token", "room_name"],
      ["/token", "participant_metadata"],
      [`/session/${session.id}/message`, "text"],
    ] as const) {
      const response = await http.guest(path, json({ room: "r", [field]: value }));
      expect({ path, field, status: response.status }).toEqual({ path, field, status: 400 });
    }
    await expectHarmless("a whole body", await http.guest("/session", json(value)));
  }
  expect(http.manager.started).toEqual([]);
});

describe("a body with __proto__ or constructor in it", () => {
  const POLLUTION = [
    '{"__proto__":{"polluted":true},"room":"r1"}',
    '{"constructor":{"prototype":{"polluted":true}},"room":"r2"}',
    '{"room":"r3","__proto__":{"system_prompt":"evil","identity":"evil"}}',
    '{"participant_attributes":{"__proto__":"polluted","constructor":"x"}}',
  ];

  test.each(POLLUTION)("changes no other object: %s", async (body) => {
    await using http = openHttp();
    for (const path of ["/session", "/token"]) {
      await expectHarmless(path, await http.guest(path, json(body)));
    }
    expect("polluted" in {}).toBe(false);
    expect(JSON.stringify(http.manager.started)).not.toContain("evil");
    for (const request of http.manager.started) {
      expect(request.system_prompt).toBeUndefined();
      expect(request.identity).toBeUndefined();
    }
  });

  test("in a query neither", async () => {
    await using http = openHttp();
    const query = "__proto__=x&__proto__[polluted]=1&constructor.prototype.polluted=1";
    await expectHarmless("query", await http.guest(`/token?${query}`));
    expect("polluted" in {}).toBe(false);
  });
});

describe("a megabyte of words", () => {
  const MEGABYTE = "word ".repeat(200_000);

  test("in a request is refused as too large", async () => {
    await using http = openHttp();
    const { id } = sessionOf();
    for (const [path, field] of [
      ["/session", "room"],
      ["/session", "system_prompt"],
      ["/token", "room_name"],
      [`/session/${id}/message`, "text"],
    ] as const) {
      expect((await http.guest(path, json({ [field]: MEGABYTE }))).status).toBe(413);
    }
    expect((await http.guest(`/token?identity=a&room=${MEGABYTE}`)).status).toBe(400);
    expect((await http.guest("/token", json({}, { "X-Odd": MEGABYTE }))).status).toBe(201);
  });

  test("without a blank, just below the limit, is refused by the field", async () => {
    await using http = openHttp();
    const response = await http.guest("/session", json({ room: "x".repeat(255 * 1024) }));
    expect(response.status).toBe(400);
    expect((await response.text()).length).toBeLessThan(1000);
  });

  test("that were said are in the transcript, the page and the downloads", async () => {
    await using http = openHttp();
    const session = sessionOf();
    insertSession(http.database, session);
    const start = { started_at: session.started_at };
    http.log.append(session.id, transcriptEvent(MEGABYTE.trim(), start));
    const paths = ["", ...EXPORT_FORMATS.map((format) => `?format=${format}`)];
    for (const path of [
      `/history/${session.id}`,
      ...paths.map((q) => `/transcripts/${session.id}${q}`),
    ]) {
      const response = await http.guest(path);
      expect(response.status).toBe(200);
      expect((await response.text()).length).toBeGreaterThanOrEqual(999_999);
    }
  });
});

test("what was said, and who said it, is text on every page", async () => {
  await using http = openHttp();
  const hostile = { room: SCRIPT, identity: SCRIPT, name: SCRIPT, system_prompt: SCRIPT };
  const session = sessionOf({ ...hostile, voice: SCRIPT, llm_model: SCRIPT });
  insertSession(http.database, session);
  const said = { identity: SCRIPT, segment_id: SCRIPT, started_at: session.started_at };
  for (const role of ["user", "agent"] as const) {
    http.log.append(session.id, transcriptEvent(SCRIPT, { ...said, role, segment_id: role }));
  }
  const paths = ["/", "/history", "/history/recent", `/history/${session.id}`];
  const fragments = [`/history/${session.id}/row`, `/history/${session.id}/lines`];
  for (const path of [...paths, ...fragments]) {
    const response = await http.guest(path, { headers: { Accept: "text/html" } });
    expect(response.status).toBe(200);
    const page = await response.text();
    expect(page).toContain("&lt;script&gt;alert(1)");
    expect(page).not.toContain("<script>alert");
    expect(page).not.toContain("<img src=x");
  }
});

test.each([
  "multipart/form-data",
  "multipart/form-data; boundary=y",
  "multipart/form-data; boundary=x",
])("a form of type %s that cannot be read is refused", async (type) => {
  await using http = openHttp({ variables: { AUTH_PASSWORD: PASSWORD } });
  const init = { method: "POST", body: "--x\r\n", headers: { "Content-Type": type } };
  for (const path of ["/sign-in", "/providers/openai", "/providers/offered"]) {
    const response = await http.user(path, init);
    expect(response.status).toBe(400);
    expect((await problemOf(response)).detail).toBe("The form is malformed.");
  }
});

/** Sends bytes to a real server and answers the status line, or "" when it just hangs up. */
function send(port: number, bytes: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let got = "";
  const socket = connect(port, "127.0.0.1", () => socket.end(bytes));
  socket.on("data", (data) => {
    got += data.toString("latin1");
    socket.destroy();
  });
  socket.on("error", () => {});
  socket.on("close", () => resolve(got.split("\r\n")[0] ?? ""));
  return promise;
}

test("malformed HTTP is refused by the real server, which keeps running", async () => {
  await using http = openHttp({ variables: { AUTH_PASSWORD: PASSWORD } });
  await using server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: http.app.fetch,
    websocket: transcriptSocketHandlers(http.hub),
  });
  const port = Number(server.port);
  const close = "Connection: close\r\n";
  const login = `password=${encodeURIComponent(PASSWORD)}`;
  const formHead = `Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${login.length}\r\n`;
  for (const bytes of [
    "\0\0\0\0\r\n\r\n",
    "GET\r\n\r\n",
    `GET / HTTP/1.1\r\n${close}\r\n`,
    `GET / HTTP/1.0\r\n${close}\r\n`,
    `GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n${close}\r\n`,
    `GET http://evil.example/session HTTP/1.1\r\nHost: localhost\r\n${close}\r\n`,
    `GET * HTTP/1.1\r\nHost: localhost\r\n${close}\r\n`,
    `GET / HTTP/1.1\r\nHost: a b\r\n${close}\r\n`,
    `GET / HTTP/1.1\r\nHost: [::1\r\nAccept: text/html\r\n${close}\r\n`,
    `GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n${close}\r\n`,
    `POST /sign-in HTTP/1.1\r\nHost: a b\r\n${formHead}${close}\r\n${login}`,
    `POST /sign-in HTTP/1.1\r\nHost: [::1\r\n${formHead}${close}\r\n${login}`,
    `POST /sign-in HTTP/1.0\r\n${formHead}${close}\r\n${login}`,
    `POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n${close}\r\n`,
    `POST /token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n${close}\r\nzz\r\n`,
    `GET /ws/transcript/x HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\n${close}\r\n`,
    `GET / HTTP/1.1\r\nHost: x\r\nCookie: ${"parley=%;".repeat(500)}\r\n${close}\r\n`,
    `GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe\r\n${close}\r\n`,
  ]) {
    expect({ bytes, status: await send(port, bytes) }).toEqual({
      bytes,
      status: expect.stringMatching(/^$|^HTTP\/1\.1 [234]\d\d /),
    });
  }
  expect(await send(port, `GET /health HTTP/1.1\r\nHost: x\r\n${close}\r\n`)).toBe(
    "HTTP/1.1 200 OK",
  );
  expect(http.logger.lines.filter(({ level }) => Number(level) >= 50)).toEqual([]);
});

test("a caller that hangs up before its body is sent is no error of Parley's", async () => {
  await using http = openHttp();
  const answered = Promise.withResolvers<Response>();
  await using server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request, server) => {
      const response = await http.app.fetch(request, server);
      answered.resolve(response);
      return response;
    },
  });
  const head = "POST /session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{";
  const socket = connect(Number(server.port), "127.0.0.1", () => socket.end(head));
  expect((await answered.promise).status).toBe(400);
  expect(http.logger.lines.map(({ msg, level }) => [msg, level])).toEqual([["request", 30]]);
});
