// A fake engine process to test its supervision: `bun test/engine-child.ts MODE …`.
import { parseArgs } from "node:util";
import { z } from "zod";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    supervised: { type: "string" },
    host: { type: "string" },
    port: { type: "string" },
  },
});
const [mode] = positionals;
if (mode === "mute") {
  console.error("there is no engine in me");
  process.exit(3);
}
const modelList = z.object({
  models: z.array(z.looseObject({ id: z.string() })),
  broken: z.record(z.string(), z.string()),
});
let sent: unknown[] = [];
let models: string[] = [];
let broken: Record<string, string> = {};
const server = Bun.serve({
  hostname: values.host ?? "127.0.0.1",
  port: Number(values.port),
  routes: {
    "/health": () => Response.json({ status: "ok" }),
    "/v1/models": () =>
      Response.json({
        pid: process.pid,
        models,
        sent,
        environment: Bun.env,
        bun: process.execArgv,
        folder: process.cwd(),
      }),
    "/crash": () => process.exit(4),
    "/models": async (request) => {
      const body = modelList.parse(await request.json());
      sent = body.models;
      models = body.models.map(({ id }) => id);
      broken = body.broken;
      return new Response(null, { status: 204 });
    },
    "/warm-up": () => {
      const [why] = Object.values(broken);
      if (why !== undefined) return Response.json({ error: { message: why } }, { status: 503 });
      if (mode === "fatal" && models.includes("fatal")) {
        console.log(JSON.stringify({ level: "info", msg: "…", event: "loading", model: "fatal" }));
        console.error("std::bad_alloc");
        process.exit(5);
      }
      if (mode === "endless" && models.includes("fatal")) {
        console.log(JSON.stringify({ level: "info", msg: "…", event: "loading", model: "fatal" }));
        return new Promise<Response>(() => {});
      }
      for (const model of models) {
        console.log(JSON.stringify({ level: "info", msg: "…", event: "loaded", model }));
      }
      return new Response(null, { status: 204 });
    },
  },
});
console.log(JSON.stringify({ level: "info", msg: "the engine is listening", event: "listening" }));
for await (const _ of Bun.stdin.stream());
await server.stop(true);
