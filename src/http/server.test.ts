import { describe, expect, test } from "bun:test";
import { insertSession, sessionOf } from "../../test/database.ts";
import { type HttpOptions, json, openHttp, PASSWORD, problemOf } from "../../test/http-harness.ts";
import { Failure, type FailureKind } from "../errors.ts";
import { transcriptSocketHandlers } from "./routes/transcript-socket.ts";

const BROWSER = { Accept: "text/html,application/xhtml+xml,*/*;q=0.8" };
const EVIL = "https://evil.example";
const locked: HttpOptions = { variables: { AUTH_PASSWORD: PASSWORD } };

describe("an address where there is nothing", () => {
  test("is a problem document for programs", async () => {
    await using http = openHttp();
    for (const Accept of ["", "*/*", "application/json"]) {
      const response = await http.guest("/nothing", { headers: { Accept } });
      expect(response.status).toBe(404);
      expect((await problemOf(response)).title).toBe("Not found");
    }
    expect((await http.guest("/nothing", { method: "POST", headers: BROWSER })).status).toBe(404);
  });

  test("is a page for browsers, with a way on", async () => {
    await using http = openHttp();
    const response = await http.guest("/nothing", { headers: BROWSER });
    expect(response.status).toBe(404);
    expect(response.headers.get("Content-Type")).toStartWith("text/html");
    const page = await response.text();
    expect(page).toContain("Not found");
    expect(page).toContain('href="/"');
  });

  test("is a fragment for HTMX, which shows it in place", async () => {
    await using http = openHttp();
    const headers = { "HX-Request": "true", ...BROWSER };
    const response = await http.guest("/nothing", { headers });
    expect(response.status).toBe(404);
    const text = await response.text();
    expect(text).toStartWith('<p class="notice row small" data-tone="error" role="alert">');
    expect(text).not.toContain("<html");
  });

  test("is what a method is that a path does not have", async () => {
    await using http = openHttp();
    for (const [method, path] of [
      ["PUT", "/session"],
      ["PATCH", "/token"],
      ["DELETE", "/health"],
      ["TRACE", "/session"],
    ] as const) {
      expect((await http.guest(path, { method })).status).toBe(404);
    }
  });
});

describe("an error", () => {
  const KINDS: [kind: FailureKind, status: number][] = [
    ["invalid", 400],
    ["unauthorized", 401],
    ["forbidden", 403],
    ["not_found", 404],
    ["conflict", 409],
    ["too_large", 413],
    ["limit", 429],
    ["upstream_failed", 502],
    ["unavailable", 503],
  ];

  test.each(KINDS)("of kind %s is %i with the words of the failure", async (kind, status) => {
    await using http = openHttp();
    http.manager.failure = new Failure(kind, "Because <b>.", {
      errors: [{ path: "room", message: "is odd" }],
    });
    const response = await http.guest("/session", json({ room: "r" }));
    expect(response.status).toBe(status);
    expect(response.headers.get("Cache-Control")).toBe("no-store");
    expect(await problemOf(response)).toMatchObject({
      detail: "Because <b>.",
      errors: [{ path: "room", message: "is odd" }],
    });
  });

  test("that is unexpected is logged with its request, and the response reveals nothing", async () => {
    await using http = openHttp();
    http.manager.failure = new Error("sk-secret at /home/parley/secret.ts");
    for (const headers of [new Headers(), new Headers({ "HX-Request": "true" })]) {
      const init = json({ room: "r" }, Object.fromEntries(headers));
      const response = await http.guest("/session", init);
      expect(response.status).toBe(500);
      expect(await response.text()).not.toMatch(/secret|stack|\.ts/);
      const id = response.headers.get("X-Request-Id");
      const logged = http.logger.lines.find(({ request_id, err }) => request_id === id && err);
      expect(logged).toMatchObject({ level: 50, path: "/session" });
    }
  });

  test("in a page or fragment is escaped", async () => {
    await using http = openHttp();
    http.manager.failure = new Failure("conflict", "<img src=x onerror=alert(1)>");
    const headers = { "HX-Request": "true" };
    const response = await http.guest("/session", json({ room: "r" }, headers));
    expect(await response.text()).not.toContain("<img");
  });
});

describe("the log", () => {
  test("has one line a request, without its query, body or secrets", async () => {
    await using http = openHttp(locked);
    await http.user("/token?room=secret-room&identity=secret-person");
    await http.user("/session", json({ room: "secret-room" }, { Cookie: "parley=secret" }));
    await http.guest(`/session?password=${PASSWORD}`);
    const lines = http.logger.lines.map(({ method, path, status, msg }) => [
      method,
      path,
      status,
      msg,
    ]);
    expect(lines).toEqual([
      ["GET", "/token", 200, "request"],
      ["POST", "/session", 201, "request"],
      ["GET", "/session", 401, "request"],
    ]);
    expect(JSON.stringify(http.logger.lines)).not.toMatch(/secret|correct horse/);
    for (const { duration_ms } of http.logger.lines) expect(Number(duration_ms)).toBeGreaterThan(0);
  });

  test("names each request by the id that its answer bears", async () => {
    await using http = openHttp();
    const first = (await http.guest("/health")).headers.get("X-Request-Id");
    const second = (await http.guest("/nothing")).headers.get("X-Request-Id");
    expect(http.logger.lines.map(({ request_id }) => request_id)).toEqual([first, second]);
    expect(first).toMatch(/^[0-9a-f-]{36}$/);
    expect(second).not.toBe(first);
  });

  test("takes over a caller's id unless it could forge something", async () => {
    await using http = openHttp();
    const idFor = async (given: string) =>
      (await http.guest("/health", { headers: { "X-Request-Id": given } })).headers.get(
        "X-Request-Id",
      );
    expect(await idFor("trace-42")).toBe("trace-42");
    for (const odd of ["a b", "<script>", "x".repeat(256), '"},{"']) {
      expect(await idFor(odd)).toMatch(/^[0-9a-f-]{36}$/);
    }
  });
});

describe("security headers", () => {
  const PATHS = ["/", "/history", "/health", "/nothing", "/assets/parley.css", "/session"];

  test.each(PATHS)("of %s allow no script, style or frame but Parley's own", async (path) => {
    await using http = openHttp({ livekitUrl: "wss://rtc.example.org" });
    const { headers } = await http.guest(path, { headers: BROWSER });
    const policy = new Map(
      (headers.get("Content-Security-Policy") ?? "").split("; ").map((one) => {
        const [name = "", ...sources] = one.split(" ");
        return [name, sources.join(" ")];
      }),
    );
    expect(policy.get("default-src")).toBe("'none'");
    expect(policy.get("script-src")).toBe("'self'");
    expect(policy.get("style-src")).toBe("'self'");
    expect(policy.get("connect-src")).toBe("'self' wss://rtc.example.org https://rtc.example.org");
    expect(policy.get("frame-ancestors")).toBe("'none'");
    expect(policy.get("base-uri")).toBe("'none'");
    expect(policy.get("form-action")).toBe("'self'");
    expect([...policy.values()].join(" ")).not.toMatch(/unsafe|\*/);
    expect(Object.fromEntries(headers)).toMatchObject({
      "x-content-type-options": "nosniff",
      "x-frame-options": "DENY",
      "referrer-policy": "same-origin",
      "cross-origin-opener-policy": "same-origin",
      "permissions-policy": expect.stringContaining("microphone=(self)"),
    });
    expect(headers.get("Server")).toBeNull();
    expect(headers.get("X-Powered-By")).toBeNull();
  });

  test("name a LiveKit on this machine by both of its names", async () => {
    await using http = openHttp({ livekitUrl: "ws://127.0.0.1:7880" });
    const policy = (await http.guest("/")).headers.get("Content-Security-Policy");
    for (const source of ["ws://127.0.0.1:7880", "ws://localhost:7880", "http://localhost:7880"]) {
      expect(policy).toContain(` ${source}`);
    }
  });

  test("hold for pages: they contain no inline script or style", async () => {
    await using http = openHttp();
    for (const path of ["/", "/history", "/nothing"]) {
      const page = await (await http.guest(path, { headers: BROWSER })).text();
      expect(page).toContain("<html");
      expect(page).not.toMatch(/<style|\sstyle=|\son[a-z]+=|javascript:/i);
      for (const [, attributes = "", code] of page.matchAll(/<script([^>]*)>([^<]*)/g)) {
        expect(attributes).toContain("src=");
        expect(code).toBe("");
      }
    }
  });
});

describe("assets", () => {
  test("are cached for ever under their hash, and revalidated without it", async () => {
    await using http = openHttp();
    const page = await (await http.guest("/", { headers: BROWSER })).text();
    const [url = ""] = /\/assets\/parley\.css\?v=\w+/.exec(page) ?? [];
    const hashed = await http.guest(url);
    expect(hashed.headers.get("Content-Type")).toStartWith("text/css");
    expect(hashed.headers.get("Cache-Control")).toContain("immutable");
    const plain = await http.guest("/assets/parley.css?v=old");
    expect(plain.headers.get("Cache-Control")).toBe("no-cache");
    const headers = { "If-None-Match": plain.headers.get("ETag") ?? "" };
    expect((await http.guest("/assets/parley.css", { headers })).status).toBe(304);
  });

  test("are compressed for who takes that", async () => {
    await using http = openHttp();
    const headers = { "Accept-Encoding": "gzip" };
    const response = await http.guest("/assets/parley.css", { headers });
    expect(response.headers.get("Content-Encoding")).toBe("gzip");
  });

  test.each([
    "/assets/",
    "/assets/build",
    "/assets/../package.json",
    "/assets/..%2f..%2fpackage.json",
    "/assets/%2e%2e/%2e%2e/etc/passwd",
    "/assets//etc/passwd",
    "/assets/parley.css%00.html",
    "/assets/..\\..\\package.json",
    "/assets/parley.css/",
  ])("are files of the folder only: %s is not found", async (path) => {
    await using http = openHttp();
    expect((await http.guest(path)).status).toBe(404);
  });
});

describe("pages of other origins", () => {
  const from = (origin: string) => ({ headers: { Origin: origin } });
  const allowedFor = async (options: HttpOptions, origin: string) => {
    await using http = openHttp(options);
    const asked = await http.guest("/session", {
      method: "OPTIONS",
      headers: { Origin: origin, "Access-Control-Request-Method": "POST" },
    });
    const got = await http.guest("/session", from(origin));
    const answers = [asked, got].map(({ headers }) => headers.get("Access-Control-Allow-Origin"));
    expect(answers[0]).toBe(answers[1] ?? null);
    return answers[0];
  };

  test("on this machine may use the API while developing, on any port", async () => {
    for (const origin of ["http://localhost:5173", "http://127.0.0.1:8080", "http://localhost"]) {
      expect(await allowedFor({ dev: true }, origin)).toBe(origin);
      expect(await allowedFor({}, origin)).toBeNull();
    }
  });

  test("may use the API when they are configured, and no others", async () => {
    const options = { variables: { CORS_ORIGINS: "https://app.example.org" } };
    const app = "https://app.example.org";
    expect(await allowedFor(options, app)).toBe(app);
    for (const origin of [EVIL, "http://app.example.org", `${app}.evil.example`, "null"]) {
      expect(await allowedFor(options, origin)).toBeNull();
      expect(await allowedFor({ dev: true }, origin)).toBeNull();
    }
  });

  test("may sign in with what they send, and read where a session is and when to try again", async () => {
    await using http = openHttp({ dev: true });
    const response = await http.guest("/session", {
      method: "OPTIONS",
      headers: { Origin: "http://localhost:1", "Access-Control-Request-Method": "DELETE" },
    });
    expect(response.status).toBe(204);
    const { headers } = response;
    expect(headers.get("Access-Control-Allow-Credentials")).toBe("true");
    expect(headers.get("Access-Control-Allow-Methods")).toBe("GET,POST,DELETE");
    expect(headers.get("Access-Control-Allow-Headers")).toBe("Content-Type,Authorization");
    expect(headers.get("Access-Control-Expose-Headers")).toBe("Location,Retry-After");
    expect(headers.get("Vary")).toContain("Origin");
  });

  test("get errors they can read where they are allowed", async () => {
    await using http = openHttp({ dev: true });
    const response = await http.guest("/token", from("http://localhost:1"));
    expect(response.status).toBe(400);
    expect(response.headers.get("Access-Control-Allow-Origin")).toBe("http://localhost:1");
  });
});

describe("a form post", () => {
  const TYPES = [
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/plain",
    "TEXT/PLAIN;charset=utf-8",
    undefined,
  ];

  test.each(TYPES)("from a foreign page is refused (%p)", async (type) => {
    await using http = openHttp();
    for (const origin of [EVIL, "null", "http://localhost.evil.example"]) {
      for (const path of ["/session", "/token", `/session/${Bun.randomUUIDv7()}/message`]) {
        const headers = new Headers({ Origin: origin, Host: "localhost" });
        // A `Blob` without a type sends none.
        if (type !== undefined) headers.set("Content-Type", type);
        const body = new TextEncoder().encode('{"room":"r"}');
        const response = await http.guest(path, { method: "POST", body, headers });
        expect(response.status).toBe(403);
        await problemOf(response);
      }
    }
    expect(http.manager.started).toEqual([]);
  });

  test("that a browser says is cross-site is refused, even without an origin", async () => {
    await using http = openHttp();
    for (const site of ["cross-site", "same-site", "none"]) {
      const headers = { "Sec-Fetch-Site": site, "Content-Type": "text/plain" };
      const response = await http.guest("/token", { method: "POST", body: "{}", headers });
      expect(response.status).toBe(403);
    }
  });

  test("of Parley's own page is taken", async () => {
    await using http = openHttp();
    const headers = { Origin: "http://localhost:3000", Host: "localhost:3000" };
    const response = await http.guest("/token", { method: "POST", body: "{}", headers });
    expect(response.status).toBe(201);
  });

  test("of a program, which has no origin, is taken with any content type or none", async () => {
    await using http = openHttp();
    for (const type of [undefined, "text/plain", "a/b"]) {
      const headers = new Headers(type === undefined ? {} : { "Content-Type": type });
      expect((await http.guest("/token", { method: "POST", headers })).status).toBe(201);
    }
    const session = sessionOf();
    insertSession(http.database, session);
    const stopped = await http.guest(`/session/${session.id}`, { method: "DELETE" });
    expect(stopped.status).toBe(200);
  });
});

describe("the Host header", () => {
  const status = async (options: HttpOptions, host: string, path = "/session") => {
    await using http = openHttp(options);
    const headers = { Host: host, Authorization: `Bearer ${PASSWORD}` };
    return (await http.guest(path, { headers })).status;
  };
  const FOREIGN = [
    "evil.example",
    "evil.example:3000",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "127.0.0.1:3000@evil.example",
    "192.168.1.5:3000",
    "[::2]:3000",
    "localhost.",
    "a b",
    "[::1",
  ];

  test.each(FOREIGN)("%p is refused where no sign-in is needed", async (host) => {
    expect(await status({}, host)).toBe(403);
    expect(await status({}, host, "/")).toBe(403);
    expect(await status({}, host, "/health")).toBe(403);
  });

  test.each([
    "localhost",
    "localhost:3000",
    "LOCALHOST:3",
    "127.0.0.1:3000",
    "[::1]:3000",
    "[::1]",
    "a.localhost",
  ])("%p is this machine's", async (host) => {
    expect(await status({}, host)).toBe(200);
  });

  test("may be any where a password or something in front decides who gets in", async () => {
    for (const host of ["parley.example.org", "192.168.1.5:3000"]) {
      expect(await status(locked, host)).toBe(200);
      expect(await status({ variables: { AUTH_DISABLED: "true" } }, host)).toBe(200);
    }
  });
});

describe("a WebSocket", () => {
  const upgrade = { Upgrade: "websocket", Connection: "Upgrade", Host: "localhost" };
  const path = `/ws/transcript/${Bun.randomUUIDv7()}`;

  test("is not opened for who has not signed in", async () => {
    await using http = openHttp(locked);
    expect((await http.guest(path, { headers: upgrade })).status).toBe(401);
    expect((await http.user(path, { headers: upgrade })).status).toBe(404);
  });

  test("is not opened for a foreign page, whatever else it sends", async () => {
    await using http = openHttp(locked);
    const cookie = await http.signIn();
    for (const origin of [EVIL, "null", "http://localhost.evil.example", "garbage", "file://"]) {
      const headers = { ...upgrade, Origin: origin, Cookie: cookie };
      const response = await http.guest(path, { headers });
      expect(response.status).toBe(403);
      await problemOf(response);
    }
  });

  test("is not opened under a name that was rebound to this machine", async () => {
    await using http = openHttp();
    const headers = { ...upgrade, Host: "evil.example", Origin: "http://evil.example" };
    expect((await http.guest(path, { headers })).status).toBe(403);
  });

  test("opens for Parley's own page and for a configured one, and says how it is", async () => {
    await using http = openHttp({ variables: { CORS_ORIGINS: "https://app.example.org" } });
    const session = sessionOf();
    insertSession(http.database, session);
    http.log.append(session.id, { type: "session", data: { state: "starting" } });
    await using server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: http.app.fetch,
      websocket: transcriptSocketHandlers(http.hub),
    });
    for (const origin of [server.url.origin, "https://app.example.org"]) {
      const url = `ws://127.0.0.1:${server.port}/ws/transcript/${session.id}`;
      const socket = new WebSocket(url, { headers: { Origin: origin } });
      const { promise, resolve, reject } = Promise.withResolvers<string>();
      socket.onmessage = ({ data }) => resolve(String(data));
      socket.onerror = () => reject(new Error(`refused for ${origin}`));
      expect(JSON.parse(await promise)).toMatchObject({ seq: 1, data: { state: "starting" } });
      socket.close();
    }
  });
});

describe("limits", () => {
  const KIB = 1024;

  test("a body of 256 KiB is read, and a larger one is not", async () => {
    await using http = openHttp();
    const body = (size: number) => `{"room":"r","more":"${"x".repeat(size - 22)}"}`;
    expect(body(256 * KIB).length).toBe(256 * KIB);
    expect((await http.guest("/session", json(body(256 * KIB)))).status).toBe(201);
    const response = await http.guest("/session", json(body(256 * KIB + 1)));
    expect(response.status).toBe(413);
    expect((await problemOf(response)).detail).toContain("256 KiB");
    expect(http.manager.started).toHaveLength(1);
  });

  test("a body that does not say how long it is is cut off too", async () => {
    await using http = openHttp();
    let chunks = 0;
    const endless = new ReadableStream({
      pull(controller) {
        chunks += 1;
        controller.enqueue(new Uint8Array(64 * KIB).fill(32));
      },
    });
    const response = await http.guest("/session", {
      method: "POST",
      body: endless,
      headers: { "Content-Type": "application/json" },
    });
    expect(response.status).toBe(413);
    expect(chunks).toBeLessThan(20);
  });

  test("an address may have 8 Ki characters, and no more", async () => {
    await using http = openHttp();
    const address = (length: number) =>
      `/health?${"x".repeat(length - "http://localhost/health?".length)}`;
    expect((await http.guest(address(8192))).status).toBe(200);
    const response = await http.guest(address(8193));
    expect(response.status).toBe(400);
    expect((await problemOf(response)).detail).toBe("The address is too long.");
  });

  test.each([
    ["{"],
    ['{"room":"r"'],
    ["{'room':'r'}"],
    ["room=r"],
    ["\u0000"],
    ['{"room":"r"}{"room":"s"}'],
    ["[".repeat(100_000)],
    ["NaN"],
  ])("a body that is no JSON is refused (case %#)", async (body) => {
    await using http = openHttp();
    for (const path of ["/session", "/token"]) {
      const response = await http.guest(path, json(body));
      expect(response.status).toBe(400);
      expect((await problemOf(response)).detail).toContain("not valid JSON");
    }
  });
});
