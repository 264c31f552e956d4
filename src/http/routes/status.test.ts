import { describe, expect, jest, test } from "bun:test";
import { idleSources } from "../../../test/event-log.ts";
import { openHttp } from "../../../test/http-harness.ts";
import { createMetrics } from "../../observability/metrics.ts";

const touched = (what: string) => () => Promise.reject(new Error(`${what} was touched`));

describe("GET /health", () => {
  test("says ok, exactly", async () => {
    await using http = openHttp();
    const response = await http.guest("/health");
    expect(response.status).toBe(200);
    expect(response.headers.get("Content-Type")).toStartWith("application/json");
    expect(await response.text()).toBe('{"status":"ok"}');
  });

  test("touches nothing else: not the database, LiveKit or a provider", async () => {
    const names = ["database", "livekit", "llm"];
    const checks = Object.fromEntries(names.map((name) => [name, touched(name)]));
    await using http = openHttp({ status: { checks } });
    http.sessions.live = () => {
      throw new Error("the database was touched");
    };
    expect(await (await http.guest("/health")).text()).toBe('{"status":"ok"}');
    expect(http.logger.lines.map(({ msg }) => msg)).toEqual(["request"]);
  });

  test("answers HEAD without a body", async () => {
    await using http = openHttp();
    const response = await http.guest("/health", { method: "HEAD" });
    expect([response.status, await response.text()]).toEqual([200, ""]);
  });
});

describe("GET /ready", () => {
  test("is 200 when every part works", async () => {
    const checks = { database: async () => 1, livekit: async () => [] };
    await using http = openHttp({ status: { checks } });
    const response = await http.guest("/ready");
    expect(response.status).toBe(200);
    expect(response.headers.get("Cache-Control")).toBe("no-store");
    expect(await response.json()).toEqual({
      status: "ok",
      checks: { database: "ok", livekit: "ok" },
    });
  });

  test("is 503 at once while Parley is drained, though everything works", async () => {
    await using http = openHttp({ status: { checks: { database: async () => 1 } } });
    expect((await http.guest("/ready")).status).toBe(200);
    await http.guest("/drain", { method: "POST" });
    const response = await http.guest("/ready");
    expect(response.status).toBe(503);
    expect(await response.json()).toEqual({
      status: "draining",
      checks: { conversations: expect.stringContaining("restart"), database: "ok" },
    });
    expect((await http.guest("/health")).status).toBe(200);
  });

  test("is 503 when one does not, and says which and why", async () => {
    const checks = {
      database: () => {
        throw new Error("disk gone");
      },
      livekit: async () => {},
      llm: () => Promise.reject(new Error("refused the key")),
    };
    await using http = openHttp({ status: { checks } });
    const response = await http.guest("/ready");
    expect(response.status).toBe(503);
    expect(await response.json()).toEqual({
      status: "unavailable",
      checks: { database: "disk gone", livekit: "ok", llm: "refused the key" },
    });
  });
});

describe("GET /ready, asked by many", () => {
  test("checks each part once, and again when the result is a few seconds old", async () => {
    let good = 0;
    let bad = 0;
    const checks = {
      database: async () => good++,
      llm: () => {
        bad++;
        return Promise.reject(new Error("refused the key"));
      },
    };
    jest.useFakeTimers();
    try {
      await using http = openHttp({ status: { checks } });
      const ask = async () => (await http.guest("/ready")).status;
      expect(await Promise.all([ask(), ask(), ask()])).toEqual([503, 503, 503]);
      expect(await ask()).toBe(503);
      expect([good, bad]).toEqual([1, 1]);
      jest.advanceTimersByTime(2999);
      await ask();
      expect([good, bad]).toEqual([1, 1]);
      jest.advanceTimersByTime(1);
      await ask();
      expect([good, bad]).toEqual([2, 2]);
    } finally {
      jest.useRealTimers();
    }
  });
});

describe("GET /ready with second providers", () => {
  const refuse = (why: string) => () => Promise.reject(new Error(why));

  test.each([
    ["works", async () => {}, 200, "ok"],
    ["does not either", refuse("gone too"), 503, "gone too"],
  ])("when the first is down and the second %s", async (_, second, status, state) => {
    const checks = { database: async () => {}, llm: refuse("gone") };
    await using http = openHttp({ status: { checks, seconds: () => ({ llm: second }) } });
    const response = await http.guest("/ready");
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({
      checks: { database: "ok", llm: "gone", llm_fallback: state },
    });
  });
});

describe("GET /metrics", () => {
  test("is Prometheus text that counts what events say", async () => {
    const metrics = createMetrics({ ...idleSources, liveSessions: () => 3 });
    await using http = openHttp({ status: { metrics } });
    const response = await http.guest("/metrics");
    expect(response.status).toBe(200);
    expect(response.headers.get("Content-Type")).toContain("text/plain");
    const text = await response.text();
    expect(text).toContain("\nparley_sessions_live 3\n");
    expect(text).toContain("\nparley_websocket_clients 0\n");
  });
});
