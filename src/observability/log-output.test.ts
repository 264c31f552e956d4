import { expect, test } from "bun:test";
import { closeSync, constants, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../../test/database.ts";
import { LogOutput } from "./log-output.ts";

/** A pipe whose reader stands still until it is asked to read. */
function pipe() {
  const folder = temporaryFolder();
  const path = join(folder.path, "pipe");
  Bun.spawnSync(["mkfifo", path]);
  const reader = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  const writer = openSync(path, constants.O_WRONLY);
  const buffer = Buffer.alloc(1 << 20);
  return {
    writer,
    /** Reads until `end` has come. */
    async until(end: string): Promise<string> {
      let text = "";
      while (!text.includes(end)) {
        try {
          text += buffer.toString("utf8", 0, readSync(reader, buffer));
        } catch {
          await Bun.sleep(1);
        }
      }
      return text;
    },
    [Symbol.dispose]: () => {
      closeSync(writer);
      closeSync(reader);
      folder[Symbol.dispose]();
    },
  };
}

/** Numbered lines of 100 characters. */
const lines = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => `${from + i}`.padEnd(99, ".").concat("\n"));

test("lines arrive in order, and nothing waits for their reader", async () => {
  using side = pipe();
  const output = new LogOutput(side.writer);
  const all = lines(0, 5000);
  // Many times what a pipe holds: a write that waited would never come back.
  for (const line of all) output.write(line);
  await output.flush(50);
  output.write("end\n");
  expect(await side.until("end\n")).toBe(`${all.join("")}end\n`);
  await output.flush(5000);
}, 20_000);

test("beyond the bound lines are dropped, counted and reported when there is room", async () => {
  using side = pipe();
  const output = new LogOutput(side.writer, 200_000);
  output.onDropped = (dropped) => output.write(`dropped ${dropped}\n`);
  const all = lines(0, 3000);
  for (const line of all) output.write(line);
  const text = await side.until("dropped 1000\n");
  expect(text).toBe(`${all.slice(0, 2000).join("")}dropped 1000\n`);
  output.write("afterwards\n");
  expect(await side.until("afterwards\n")).toBe("afterwards\n");
  await output.flush(5000);
}, 20_000);

test("a reader that is gone is no error", async () => {
  const child = Bun.spawn(
    [
      process.execPath,
      "-e",
      `import { LogOutput } from "./log-output.ts";
       const output = new LogOutput(1);
       for (let i = 0; i < 50; i++) { output.write("line\\n"); await Bun.sleep(5); }
       await output.flush(1000);
       console.error("still here");`,
    ],
    { cwd: import.meta.dir, stdout: "pipe", stderr: "pipe" },
  );
  await child.stdout.cancel();
  expect(await new Response(child.stderr).text()).toBe("still here\n");
  expect(await child.exited).toBe(0);
}, 20_000);
