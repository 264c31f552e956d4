import { expect, test } from "bun:test";
import { checkClock, checkOpenFiles } from "./machine.ts";

/** A server whose address does not look like loopback. */
function clockServer(date: string) {
  return Bun.serve({
    hostname: "0.0.0.0",
    port: 0,
    fetch: () => new Response("", { status: 404, headers: { Date: date } }),
  });
}

test("a clock that agrees passes, one that is off must be set", async () => {
  await using server = clockServer("Tue, 01 Jan 2030 00:00:00 GMT");
  const url = `http://0.0.0.0:${server.port}/v1`;
  const now = Date.parse("2030-01-01T00:00:00Z");
  expect((await checkClock([url], true, () => now + 59_000)).status).toBe("ok");
  const ahead = await checkClock([url], true, () => now + 61_000);
  expect(ahead).toMatchObject({ status: "failed", hint: expect.stringContaining("timedatectl") });
  expect(ahead.detail).toContain("61 s ahead of");
  const behind = await checkClock([url], false, () => now - 3600_000);
  expect(behind).toMatchObject({ status: "warning", detail: expect.stringContaining("behind") });
});

test("servers on this machine share its clock; those that are down say nothing", async () => {
  expect((await checkClock(["http://127.0.0.1:9", "ws://localhost:1"], true)).status).toBe("ok");
  expect((await checkClock(["http://0.0.0.0:9/v1"], true)).status).toBe("warning");
});

test("the limit of open files is compared with the number of sessions", async () => {
  expect((await checkOpenFiles(20, async () => 1024)).status).toBe("ok");
  expect((await checkOpenFiles(20, async () => undefined)).status).toBe("ok");
  expect((await checkOpenFiles(9999, async () => Number.POSITIVE_INFINITY)).status).toBe("ok");
  const found = await checkOpenFiles(100, async () => 1024);
  expect(found).toMatchObject({ status: "warning", hint: expect.stringContaining("MAX_SESSIONS") });
  expect((await checkOpenFiles(1)).detail).toMatch(/^\d+|unlimited/);
});
