import { expect, test } from "bun:test";
import { join } from "node:path";

/** Registers itself for the whole process, so it runs in one of its own. */
const SCRIPT = `
  import { trace } from "@opentelemetry/api";
  import { startTracing } from "./tracing.ts";
  const stop = await startTracing(Bun.argv[1]);
  const span = trace.getTracer("test").startSpan("a turn");
  span.setAttribute("lk.pii.user_transcript", "my secret wish");
  span.end();
  const stopped = performance.now();
  await stop().catch((error) => console.log(error.name, Math.round(performance.now() - stopped)));
  process.exit(0);
`;

test("a span has reached the collector when tracing stops, without what people said", async () => {
  const received: { path: string; body: string }[] = [];
  const collector = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const body = await request.bytes();
      received.push({
        path: new URL(request.url).pathname,
        body: new TextDecoder("latin1").decode(body),
      });
      return new Response();
    },
  });
  try {
    const child = Bun.spawn([process.execPath, "-e", SCRIPT, collector.url.href], {
      cwd: join(import.meta.dir),
      stderr: "inherit",
    });
    expect(await child.exited).toBe(0);
    expect(received.map(({ path }) => path)).toEqual(["/v1/traces"]);
    expect(received[0]?.body).toContain("a turn");
    expect(received[0]?.body).toContain("parley");
    expect(received[0]?.body).not.toContain("my secret wish");
  } finally {
    await collector.stop(true);
  }
});

test("a collector that accepts and is silent does not hold up the stop", async () => {
  const silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  try {
    const child = Bun.spawn([process.execPath, "-e", SCRIPT, `http://127.0.0.1:${silent.port}`], {
      cwd: import.meta.dir,
      stdout: "pipe",
      stderr: "inherit",
    });
    const [outcome, ms] = (await new Response(child.stdout).text()).trim().split(" ");
    expect(outcome).toBe("DeadlineExceeded");
    // The exporter itself gives up after 10 s.
    expect(Number(ms)).toBeLessThan(5000);
  } finally {
    silent.stop(true);
  }
});
