import { describe, expect, test } from "bun:test";
import { chmodSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../../test/database.ts";
import { form, json, openHttp, PASSWORD, problemOf } from "../../test/http-harness.ts";
import { loadCookieKey } from "./auth.ts";

const locked = { variables: { AUTH_PASSWORD: PASSWORD } };
const ID = Bun.randomUUIDv7();
const PAGE = { headers: { Accept: "text/html,application/xhtml+xml" } };

/** What nobody may see or do without signing in. */
const CLOSED: [method: string, path: string][] = [
  ["GET", "/"],
  ["GET", "/history"],
  ["GET", "/history/recent"],
  ["GET", `/history/${ID}`],
  ["GET", `/history/${ID}/row`],
  ["GET", `/history/${ID}/lines`],
  ["GET", "/token?room=r&identity=ann"],
  ["POST", "/token"],
  ["GET", "/session"],
  ["POST", "/session"],
  ["GET", `/session/${ID}`],
  ["DELETE", `/session/${ID}`],
  ["POST", `/session/${ID}/message`],
  ["GET", `/transcripts/${ID}`],
  ["GET", `/transcripts/${ID}?format=txt`],
  ["GET", `/ws/transcript/${ID}`],
  ["GET", "/metrics"],
  ["POST", "/sign-out"],
  ["GET", "/nothing-here"],
  ["PUT", "/session"],
  ["GET", "/health/x"],
  ["GET", "//health"],
  ["GET", "/HEALTH"],
  ["GET", "/sign-in/../session"],
  ["GET", "/assets/../session"],
];
/** What anybody may. */
const OPEN: [path: string, status: number][] = [
  ["/health", 200],
  ["/ready", 200],
  ["/sign-in", 200],
  ["/assets/parley.css", 200],
  ["/assets/build/chat.js", 200],
  ["/assets/nothing.css", 404],
  ["/assets/..%2fsession", 404],
  ["/assets/..%5c..%5cpackage.json", 404],
  ["/favicon.ico", 404],
];

describe("a guest, where a password is set,", () => {
  test.each(CLOSED)("may not %s %s", async (method, path) => {
    await using http = openHttp(locked);
    const response = await http.guest(path, { method });
    expect(response.status).toBe(401);
    expect(response.headers.get("WWW-Authenticate")).toStartWith("Bearer");
    expect((await problemOf(response)).title).toBe("Sign-in needed");
    expect([http.manager.started, http.manager.stopped, http.manager.said]).toEqual([[], [], []]);
  });

  test.each(OPEN)("may see %s", async (path, status) => {
    await using http = openHttp(locked);
    expect((await http.guest(path)).status).toBe(status);
  });

  test("is led from a page to the sign-in, which leads back", async () => {
    await using http = openHttp(locked);
    const response = await http.guest(`/history/${ID}`, PAGE);
    expect(response.status).toBe(303);
    expect(response.headers.get("Location")).toBe(`/sign-in?next=%2Fhistory%2F${ID}`);
    const signIn = await http.guest(`/sign-in?next=%2Fhistory%2F${ID}`, PAGE);
    expect(await signIn.text()).toContain(`name="next" value="/history/${ID}"`);
  });

  test("is led there by HTMX too, as a whole page", async () => {
    await using http = openHttp(locked);
    const response = await http.guest("/history/recent", { headers: { "HX-Request": "true" } });
    expect(response.status).toBe(401);
    expect(response.headers.get("HX-Redirect")).toBe("/sign-in?next=%2Fhistory%2Frecent");
  });
});

describe("signing in", () => {
  test("with the password opens everything, by a cookie that no script or foreign page gets", async () => {
    await using http = openHttp(locked);
    const response = await http.guest("/sign-in", form({ password: PASSWORD, next: "/history" }));
    expect(response.status).toBe(303);
    expect(response.headers.get("Location")).toBe("/history");
    const cookie = response.headers.get("Set-Cookie") ?? "";
    expect(cookie).toMatch(/^parley=[^;]+; Max-Age=\d+; Path=\/; HttpOnly; SameSite=Lax$/);
    expect(cookie).not.toContain(PASSWORD);
    const [pair = ""] = cookie.split(";");
    expect((await http.guest("/session", { headers: { Cookie: pair } })).status).toBe(200);
    expect((await http.guest("/", { headers: { Cookie: pair, ...PAGE.headers } })).status).toBe(
      200,
    );
  });

  test("over HTTPS makes a cookie for HTTPS only", async () => {
    await using http = openHttp(locked);
    const proxied = form({ password: PASSWORD }, { "X-Forwarded-Proto": "https" });
    const cookie = (await http.guest("/sign-in", proxied)).headers.get("Set-Cookie");
    expect(cookie).toContain("; Secure");
  });

  test.each([["wrong"], [""], [`${PASSWORD} `], [PASSWORD.toUpperCase()], ["x".repeat(100_000)]])(
    "with another password is refused in the form itself (case %#)",
    async (password) => {
      await using http = openHttp(locked);
      const response = await http.guest("/sign-in", form({ password, next: "/history" }));
      expect(response.status).toBe(401);
      expect(response.headers.get("Set-Cookie")).toBeNull();
      const page = await response.text();
      expect(page).toContain("Wrong password.");
      expect(page).toContain('name="next" value="/history"');
    },
  );

  test("without a password field, or with a file in it, is refused", async () => {
    await using http = openHttp(locked);
    expect((await http.guest("/sign-in", form({}))).status).toBe(401);
    const body = new FormData();
    body.set("password", new File([PASSWORD], "password.txt"));
    const headers = { Origin: "http://localhost", Host: "localhost" };
    const response = await http.guest("/sign-in", { method: "POST", body, headers });
    expect(response.status).toBe(401);
  });

  test("is throttled after ten wrong passwords, also with the right one, for a minute", async () => {
    let now = 1_000_000;
    await using http = openHttp({ ...locked, now: () => now });
    const wrong = () => http.guest("/sign-in", form({ password: "wrong" }));
    for (let attempt = 0; attempt < 10; attempt += 1) expect((await wrong()).status).toBe(401);
    expect((await wrong()).status).toBe(429);
    const right = await http.guest("/sign-in", form({ password: PASSWORD }));
    expect(right.status).toBe(429);
    expect(right.headers.get("Set-Cookie")).toBeNull();
    expect(await right.text()).toContain("Too many wrong passwords");
    now += 61_000;
    expect(await http.signIn()).not.toBe("");
  });

  test("does not disturb who is signed in already while others guess", async () => {
    await using http = openHttp(locked);
    const headers = { Cookie: await http.signIn() };
    for (let attempt = 0; attempt < 12; attempt += 1) {
      await http.guest("/sign-in", form({ password: "wrong" }));
    }
    expect((await http.guest("/session", { headers })).status).toBe(200);
    expect((await http.user("/session")).status).toBe(200);
  });
});

describe("after signing in", () => {
  test.each([
    ["//evil.example", "/"],
    ["https://evil.example/", "/"],
    ["/\\evil.example", "/"],
    ["\\\\evil.example", "/"],
    ["/\t/evil.example", "/"],
    ["/\n/evil.example", "/"],
    ["\t//evil.example", "/"],
    ["/.//evil.example", "/"],
    ["javascript:alert(1)", "/"],
    ["http:evil.example", "/evil.example"],
    ["/history\r\nSet-Cookie: a=b", "/historySet-Cookie:%20a=b"],
    ["/history/会議?x=1", "/history/%E4%BC%9A%E8%AD%B0?x=1"],
    ["", "/"],
  ])("leads to a path of Parley's own only: next=%j", async (next, location) => {
    await using http = openHttp(locked);
    const response = await http.guest("/sign-in", form({ password: PASSWORD, next }));
    expect(response.status).toBe(303);
    expect(response.headers.get("Location")).toBe(location);
    expect(new URL(location, "http://localhost").host).toBe("localhost");
    const page = await http.guest(`/sign-in?${new URLSearchParams({ next })}`);
    expect(await page.text()).toContain(`name="next" value="${location}"`);
  });
});

describe("the sign-in", () => {
  test("from a foreign page is refused, so that no one is signed in without knowing", async () => {
    await using http = openHttp(locked);
    const foreign = form({ password: PASSWORD }, { Origin: "https://evil.example" });
    expect((await http.guest("/sign-in", foreign)).status).toBe(403);
  });

  test("does not exist where no password is set", async () => {
    await using http = openHttp();
    expect((await http.guest("/sign-in")).status).toBe(404);
    expect((await http.guest("/session")).status).toBe(200);
  });
});

describe("a cookie", () => {
  test("that was tampered with opens nothing", async () => {
    await using http = openHttp(locked);
    const cookie = await http.signIn();
    const [, since = "", signature = ""] = /^parley=(\d+)\.(.+)$/.exec(cookie) ?? [];
    expect([since.length, signature.length > 40]).toEqual([13, true]);
    for (const forged of [
      `parley=${Number(since) + 1}.${signature}`,
      `parley=${since}.${signature.replace(/^./, (c) => (c === "A" ? "B" : "A"))}`,
      `parley=${since}.`,
      `parley=${since}`,
      `parley=NaN.${signature}`,
      "parley=",
      "parley=%",
      `parley2=${cookie.slice("parley=".length)}`,
      `parley=${"x".repeat(5000)}`,
    ]) {
      const response = await http.guest("/session", { headers: { Cookie: forged } });
      expect({ forged, status: response.status }).toEqual({ forged, status: 401 });
    }
  });

  test("expires after 30 days", async () => {
    let now = Date.UTC(2026, 0, 1);
    await using http = openHttp({ ...locked, now: () => now });
    const headers = { Cookie: await http.signIn() };
    now += 30 * 24 * 3_600_000 - 1000;
    expect((await http.guest("/session", { headers })).status).toBe(200);
    now += 2000;
    expect((await http.guest("/session", { headers })).status).toBe(401);
  });

  test("ends with the password it was made for", async () => {
    await using before = openHttp(locked);
    const headers = { Cookie: await before.signIn() };
    await using after = openHttp({ variables: { AUTH_PASSWORD: "another password" } });
    expect((await before.guest("/session", { headers })).status).toBe(200);
    expect((await after.guest("/session", { headers })).status).toBe(401);
  });

  test("is taken away by signing out", async () => {
    await using http = openHttp(locked);
    const response = await http.guest("/sign-out", form({}, { Cookie: await http.signIn() }));
    expect(response.status).toBe(303);
    expect(response.headers.get("Location")).toBe("/sign-in");
    expect(response.headers.get("Set-Cookie")).toMatch(/^parley=; Max-Age=0; Path=\//);
  });
});

describe("a bearer", () => {
  const bearing = (value: string) => ({ headers: { Authorization: value } });

  test("with the password opens the API, whatever its case is", async () => {
    await using http = openHttp(locked);
    expect((await http.guest("/session", bearing(`Bearer ${PASSWORD}`))).status).toBe(200);
    expect((await http.guest("/session", bearing(`bearer ${PASSWORD}`))).status).toBe(200);
    const started = await http.user("/session", json({ room: "r" }));
    expect(started.status).toBe(201);
  });

  test("with anything else opens nothing", async () => {
    await using http = openHttp(locked);
    const basic = `Basic ${btoa(`parley:${PASSWORD}`)}`;
    for (const value of [
      "Bearer wrong",
      "Bearer ",
      "Bearer",
      PASSWORD,
      basic,
      `Bearer x${PASSWORD}`,
    ]) {
      expect((await http.guest("/session", bearing(value))).status).toBe(401);
    }
  });

  test("that is wrong is not made good by a cookie", async () => {
    await using http = openHttp(locked);
    const headers = { Cookie: await http.signIn(), Authorization: "Bearer wrong" };
    expect((await http.guest("/session", { headers })).status).toBe(401);
  });

  test("cannot be guessed without end", async () => {
    let now = 1_000_000;
    await using http = openHttp({ ...locked, now: () => now });
    const statuses = new Map<number, number>();
    for (let guess = 0; guess < 150; guess += 1) {
      const { status } = await http.guest("/session", bearing(`Bearer guess-${guess}`));
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
    expect(Object.fromEntries(statuses)).toEqual({ 401: 100, 429: 50 });
    const refused = await http.user("/session");
    expect(refused.headers.get("Retry-After")).toBe("60");
    now += 61_000;
    expect((await http.user("/session")).status).toBe(200);
  });
});

describe("the key that signs cookies", () => {
  test("is made once, can be read by its owner only, and stays", () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "data/cookie.key");
    const key = loadCookieKey(path);
    expect(key.length).toBe(32);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(loadCookieKey(path)).toEqual(key);
    expect(loadCookieKey(join(folder.path, "other.key"))).not.toEqual(key);
  });

  test("is created again when its file holds no key", () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "cookie.key");
    writeFileSync(path, "short");
    chmodSync(path, 0o644);
    const key = loadCookieKey(path);
    expect(readFileSync(path).equals(key)).toBe(true);
    expect(key.length).toBe(32);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test("that cannot be read stops the start instead of being replaced", () => {
    using folder = temporaryFolder();
    expect(() => loadCookieKey(folder.path)).toThrow();
  });
});
