import { expect, test } from "bun:test";
import { join } from "node:path";
import { linesOf } from "../lib/child-output.ts";

const MAIN = join(import.meta.dir, "..", "main.ts");

function engine(args: string[], variables: Record<string, string> = {}) {
  return Bun.spawn([process.execPath, MAIN, "engine", ...args], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
    env: { PATH: Bun.env["PATH"] ?? "", ...variables },
  });
}

/** Where an engine listens, once it does. */
async function urlOf({ stdout }: ReturnType<typeof engine>): Promise<string> {
  for await (const line of linesOf(stdout)) {
    const { event, url } = JSON.parse(line);
    if (event === "listening") return String(url);
  }
  throw new Error("the engine ended before it listened");
}

test("wrong arguments end with 2, what cannot be with 1 and one line", async () => {
  for (const args of [["--stt"], ["--port", "many"], ["--help"], ["now"]]) {
    const child = engine(args);
    expect(await new Response(child.stderr).text()).toContain("Usage: parley engine");
    expect(await child.exited).toBe(2);
  }
  const open = engine(["--host", "0.0.0.0", "--port", "0"]);
  expect(await new Response(open.stderr).text()).toMatch(/^parley: .*ENGINE_API_KEY.*\n$/);
  expect(await open.exited).toBe(1);
  const missing = engine(["--llm", "/nothing/here.gguf"]);
  expect(await new Response(missing.stderr).text()).toContain("/nothing/here.gguf");
  expect(await missing.exited).toBe(1);
});

test("alone, it serves until a signal, with the key of the environment", async () => {
  await using child = engine(["--port", "0"], { ENGINE_API_KEY: "sesame" });
  const url = new URL("/v1/models", await urlOf(child));
  expect((await fetch(url)).status).toBe(401);
  const list = await fetch(url, { headers: { Authorization: "Bearer sesame" } });
  expect(await list.json()).toEqual({ object: "list", data: [] });
  // Only a supervised engine watches its stdin.
  await child.stdin.end();
  expect((await fetch(url)).status).toBe(401);
  child.kill("SIGTERM");
  expect(await child.exited).toBe(0);
});

test("without a key, it serves this machine and no page of elsewhere", async () => {
  await using child = engine(["--port", "0"]);
  const url = new URL("/v1/models", await urlOf(child));
  const status = async (headers: Record<string, string>) => (await fetch(url, { headers })).status;
  expect(await status({})).toBe(200);
  expect(await status({ Origin: "http://localhost:3000" })).toBe(200);
  expect(await status({ Origin: "https://example.org" })).toBe(403);
  expect(await status({ Host: "rebound.example.org" })).toBe(403);
  expect(await status({ Origin: "null" })).toBe(403);
  const socket = new URL("/v1/realtime?intent=transcription", url);
  const foreign = await fetch(socket, { headers: { Origin: "https://example.org" } });
  expect(foreign.status).toBe(403);
});

test("supervised, it ends with its stdin", async () => {
  await using child = engine(["--port", "0", "--supervised", "llm"], { ENGINE_API_KEY: "sesame" });
  await urlOf(child);
  await child.stdin.end();
  expect(await child.exited).toBe(0);
});
