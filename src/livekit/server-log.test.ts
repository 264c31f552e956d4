import { expect, test } from "bun:test";
import { pino } from "pino";
import { ServerLog } from "./server-log.ts";

function capture() {
  const lines: Record<string, unknown>[] = [];
  const logger = pino({ level: "trace" }, { write: (line) => void lines.push(JSON.parse(line)) });
  return { lines, log: new ServerLog(logger, "s3cret-of-the-server") };
}

function entry(level: string, msg: string, more: Record<string, unknown> = {}): string {
  return JSON.stringify({ level, ts: 1, caller: "x.go:1", msg, ...more });
}

test("levels are kept, except that the server's info is logged as debug", () => {
  const { lines, log } = capture();
  log.line(entry("info", "starting LiveKit server"));
  log.line(entry("warn", "slow", { room: "r", participant: "anna", token: "hidden" }));
  log.line(entry("error", "broken", { error: "why" }));
  log.line(entry("warn", "UDP receive buffer is too small for a production set-up"));
  log.line("panic: oh no");
  log.line("");
  expect(lines.map(({ level }) => level)).toEqual([20, 40, 50, 20, 40]);
  expect(lines[1]).toMatchObject({ room: "r", participant: "anna", msg: "livekit-server: slow" });
  expect(JSON.stringify(lines)).not.toContain("hidden");
  expect(log.lastErrors).toBe("slow | broken: why | panic: oh no");
});

test("a participant's hang-up is no warning, and no reason why a server stopped", () => {
  const { lines, log } = capture();
  const abort = "abort chunk, with following errors: (User Initiated Abort: Close called)";
  log.line(entry("warn", "error reading data channel", { error: abort }));
  log.line(entry("warn", "error writing to websocket", { error: "websocket: close sent" }));
  log.line(entry("warn", "error reading data channel", { error: "broken pipe" }));
  expect(lines.map(({ level }) => level)).toEqual([20, 20, 40]);
  expect(log.lastErrors).toBe("error reading data channel: broken pipe");
});

test("the secret never reaches the log", () => {
  const { lines, log } = capture();
  log.line(entry("error", "bad config: s3cret-of-the-server", { error: "s3cret-of-the-server" }));
  log.line("keys: s3cret-of-the-server");
  expect(JSON.stringify(lines)).not.toContain("s3cret");
});

test("long entries, and entries that arrive in pieces, are read completely", async () => {
  const { lines, log } = capture();
  const bytes = new TextEncoder().encode(`${entry("info", "ä", { ice: "x".repeat(9000) })}\nend`);
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      for (let at = 0; at < bytes.length; at += 101) {
        controller.enqueue(bytes.subarray(at, at + 101));
      }
      controller.close();
    },
  });
  await log.follow(stream);
  expect(lines.map(({ level, msg }) => `${level} ${msg}`)).toEqual([
    "20 livekit-server: ä",
    "40 livekit-server: end",
  ]);
});
