import { expect, test } from "bun:test";
import { reachability } from "./reachable.ts";

const HOST = "127.0.0.1";

/** A server whose next answer is that of `status`. */
function serve(status: () => number, port = 0) {
  let requests = 0;
  const server = Bun.serve({
    hostname: HOST,
    port,
    fetch: () => {
      requests++;
      return new Response(null, { status: status() });
    },
  });
  return {
    port: server.port ?? 0,
    requests: () => requests,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

test("one request serves all callers, and those of the next seconds", async () => {
  await using server = serve(() => 404);
  const reachable = reachability(`ws://${HOST}:${server.port}`, 0);
  await Promise.all([reachable(), reachable()]);
  await reachable();
  expect(server.requests()).toBe(1);
});

test("a server that is not up yet is asked until it is", async () => {
  let answers = [503, 502, 200];
  await using server = serve(() => {
    const [next = 200, ...rest] = answers;
    answers = rest;
    return next;
  });
  await reachability(`ws://${HOST}:${server.port}`, 60_000)();
  expect(server.requests()).toBe(3);
});

test("one that does not answer is a failure that names it, and is asked again by the next caller", async () => {
  const { port } = await gone();
  const reachable = reachability(`ws://${HOST}:${port}`, 0);
  await expect(reachable()).rejects.toThrow(`LiveKit at ${HOST}:${port} does not answer`);
  await using _server = serve(() => 200, port);
  await reachable();
});

async function gone(): Promise<{ port: number }> {
  await using server = serve(() => 200);
  return server;
}
