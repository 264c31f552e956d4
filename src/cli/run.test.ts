import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { outcomeOf, startCommand } from "../../test/command.ts";
import { testBinary } from "../../test/livekit-binary.ts";
import { type StandIn, startStandIn } from "../../test/stand-in/openai.ts";
import { VERSION } from "../version.ts";

const report = z.object({
  status: z.enum(["ok", "warning", "failed"]),
  checks: z.array(
    z.object({
      name: z.string(),
      status: z.enum(["ok", "warning", "failed"]),
      detail: z.string(),
      hint: z.string().nullable(),
      duration_ms: z.number(),
    }),
  ),
});
const SECRET = "secret-that-must-not-be-printed";

let folder: string;
let standIn: StandIn;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "parley-run-"));
  standIn = await startStandIn({ apiKey: SECRET, prewarm: ["Hello."] });
});
afterAll(async () => {
  await standIn[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

function parley(args: string[], variables: Record<string, string> = {}) {
  return outcomeOf(startCommand(args, folder, variables));
}

async function doctor(variables: Record<string, string>) {
  const startedAt = performance.now();
  const { code, out, errors } = await parley(["doctor", "--json"], variables);
  expect(performance.now() - startedAt).toBeLessThan(20_000);
  expect(out + errors).not.toContain(SECRET);
  const { status, checks } = report.parse(JSON.parse(out));
  return { code, status, byName: new Map(checks.map((check) => [check.name, check])) };
}

test("unknown commands and wrong arguments end with 2", async () => {
  const unknown = await parley(["serf"]);
  expect(unknown).toMatchObject({ code: 2, out: "" });
  expect(unknown.errors).toContain("Usage: parley");
  expect(await parley(["doctor", "--jason"])).toMatchObject({ code: 2, out: "" });
  expect(await parley(["backup"])).toMatchObject({ code: 2, out: "" });
});

test("version and help end with 0, a backup without a database with 1 and one line", async () => {
  expect(await parley(["version"])).toEqual({ code: 0, out: `${VERSION}\n`, errors: "" });
  const help = await parley(["--help"]);
  expect(help.code).toBe(0);
  for (const command of ["serve", "doctor", "models", "backup", "licenses", "version"]) {
    expect(help.out).toContain(`\n  ${command}`);
  }
  const backup = await parley(["backup", join(folder, "copy.db")]);
  expect(backup).toMatchObject({ code: 1, out: "" });
  expect(backup.errors).toMatch(/^parley: there is no database at .*\n$/);
});

test("licenses prints the licences of all parts", async () => {
  const { code, out } = await parley(["licenses"]);
  expect(code).toBe(0);
  expect(out).toContain("\nbetter-sqlite3 ");
  expect(out).toContain("\nlivekit-server ");
});

test("every check passes with a real LiveKit server and a provider", async () => {
  const { code, status, byName } = await doctor({
    LIVEKIT_SERVER_BIN: await testBinary(),
    OPENAI_BASE_URL: standIn.url,
    OPENAI_API_KEY: SECRET,
  });
  expect([...byName.values()].filter((check) => check.status !== "ok")).toEqual([]);
  expect({ code, status }).toEqual({ code: 0, status: "ok" });
  expect(byName.get("WebRTC")?.detail).toContain("over UDP");
  // It leaves nothing behind.
  expect(readdirSync(folder)).not.toContain("data");
}, 40_000);

test("the choices made on the page are checked as conversations use them", async () => {
  const dataDir = join(folder, "chosen");
  mkdirSync(dataDir);
  const choice = { use: "endpoint", base_url: standIn.url, api_key: SECRET };
  const stages = { stt: choice, llm: choice, tts: { use: "local", model: "gone", kind: "piper" } };
  writeFileSync(join(dataDir, "settings.json"), JSON.stringify({ stages }));
  const LIVEKIT_SERVER_BIN = await testBinary();
  const { byName } = await doctor({ DATA_DIR: dataDir, LIVEKIT_SERVER_BIN });
  expect(byName.get("speech recognition")?.status).toBe("ok");
  expect(byName.get("language model")?.status).toBe("ok");
  expect(byName.get("voice")).toMatchObject({
    status: "failed",
    detail: expect.stringContaining("gone is not downloaded"),
  });
}, 40_000);

test("every part that is down is reported, within the deadlines", async () => {
  await using silent = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => new Promise<Response>(() => {}),
  });
  const { code, byName } = await doctor({
    DATA_DIR: "/dev/null/data",
    LIVEKIT_URL: silent.url.href,
    LIVEKIT_API_KEY: "key",
    LIVEKIT_API_SECRET: SECRET,
    OPENAI_BASE_URL: `${silent.url.origin}/v1`,
    OPENAI_API_KEY: SECRET,
  });
  expect(code).toBe(1);
  for (const name of ["data directory", "LiveKit", "speech recognition", "language model"]) {
    expect(byName.get(name)).toMatchObject({ status: "failed", hint: expect.any(String) });
  }
  expect(byName.get("WebRTC")?.status).toBe("warning");
}, 40_000);

test("a LiveKit server that refuses the key, or does not run, has its hint", async () => {
  const provider = { OPENAI_BASE_URL: standIn.url, OPENAI_API_KEY: SECRET };
  await using refusing = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => Response.json({ code: "unauthenticated", msg: "invalid token" }, { status: 401 }),
  });
  const external = await doctor({
    ...provider,
    LIVEKIT_URL: refusing.url.href,
    LIVEKIT_API_KEY: "key",
    LIVEKIT_API_SECRET: SECRET,
  });
  expect(external.byName.get("LiveKit")?.hint).toContain("LIVEKIT_API_SECRET");
  const own = await doctor({ ...provider, LIVEKIT_SERVER_BIN: "/bin/false" });
  expect(own.code).toBe(1);
  expect(own.byName.get("LiveKit")?.hint).toContain("LIVEKIT_SERVER_BIN");
  const none = await doctor({ ...provider, PATH: "" });
  expect(none.byName.get("LiveKit")).toMatchObject({
    status: "warning",
    hint: expect.stringContaining("first start"),
  });
}, 60_000);

test("invalid configuration is the only result", async () => {
  const { code, byName } = await doctor({ PORT: "many" });
  expect(code).toBe(1);
  expect([...byName.keys()]).toEqual(["configuration"]);
  expect(byName.get("configuration")?.detail).toContain("PORT");
});

test("the sources run from any folder", async () => {
  // The pages name their JSX library themselves, since Bun reads only the tsconfig.json of the folder
  // in which it is started.
  const page = join(import.meta.dir, "../http/error-handler.tsx");
  const child = Bun.spawn([process.execPath, page], {
    cwd: "/",
    stdio: ["ignore", "pipe", "pipe"],
  });
  expect(await new Response(child.stderr).text()).toBe("");
  expect(await child.exited).toBe(0);
});
