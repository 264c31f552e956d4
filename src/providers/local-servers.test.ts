import { expect, setSystemTime, test } from "bun:test";
import { localServerSearch } from "./local-servers.ts";

test("servers that answer as OpenAI does are found, with models to talk with", async () => {
  let asked = 0;
  await using ollama = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: () => {
      asked += 1;
      return Response.json({ data: [{ id: "llama3.2" }, { id: "nomic-embed-text" }] });
    },
  });
  await using other = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: () => new Response("<h1>Hello</h1>"),
  });
  await using hanging = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: () => new Promise<Response>(() => {}),
  });
  const search = localServerSearch([
    { name: "Ollama", baseURL: `${ollama.url.origin}/v1` },
    { name: "A page", baseURL: `${other.url.origin}/v1` },
    { name: "Nobody", baseURL: "http://127.0.0.1:9/v1" },
    { name: "Hangs", baseURL: `${hanging.url.origin}/v1` },
  ]);
  const found = await search();
  expect(found).toEqual([
    { name: "Ollama", baseURL: `${ollama.url.origin}/v1`, models: ["llama3.2"] },
  ]);
  // Asked again at once, it remembers; later, it looks again.
  await search();
  expect(asked).toBe(1);
  setSystemTime(Date.now() + 60_000);
  await search();
  setSystemTime();
  expect(asked).toBe(2);
});
