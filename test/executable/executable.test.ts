import { beforeAll, expect } from "bun:test";
import { chmodSync, existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import manifest from "../../package.json" with { type: "json" };
import { ENGINE_PACKAGES } from "../../scripts/third-party.ts";
import { ParticipantCall } from "../e2e/participant-call.ts";
import { spokenTest as test } from "../e2e/spoken.ts";
import { providerEnv } from "../parley.ts";
import { startStandIn } from "../stand-in/openai.ts";
import { sends } from "../stand-in/quirks/tts.ts";
import { executable, Machine } from "./machine.ts";

const PUBLIC = join(import.meta.dir, "../../public");
const PHRASE = "Where is the next bakery?";

let built: string;
beforeAll(async () => {
  built = await executable();
});

test("version and help need nothing and leave nothing behind", async () => {
  await using machine = await Machine.with(built);
  const version = await machine.run(["version"]);
  expect(version).toEqual({ code: 0, out: `${manifest.version}\n`, err: "" });
  expect((await machine.run(["--help"])).out).toContain("Usage: parley");
  expect((await machine.run(["dance"])).code).toBe(2);
  expect(readdirSync(machine.home)).toEqual([]);
});

test("a user without a name and a home can run it", async () => {
  await using machine = await Machine.with(built);
  const folder = join(machine.folder, "empty");
  for (const path of [machine.folder, folder, machine.parley]) chmodSync(path, 0o777);
  const nobody = ["/usr/bin/setpriv", "--reuid=54321", "--regid=54321", "--clear-groups"];
  const bare = ["/usr/bin/env", "-u", "HOME"];
  const command = [...nobody, ...bare, machine.parley];
  // Whatever it is that Parley needs a folder for, it is asked to keep it there.
  const file = join(folder, "copy.db");
  const { code, err } = await machine.run(["backup", file], {}, command);
  expect({ code, err }).toEqual({
    code: 1,
    err: expect.stringContaining(`${folder}/.local/share`),
  });
});

test("serves pages and every asset in an empty folder, and unpacks none of them", async () => {
  await using machine = await Machine.with(built);
  await using parley = await machine.start({ DATA_DIR: "" });
  expect(await (await parley.fetch("/health")).json()).toEqual({ status: "ok" });
  const page = await (await parley.fetch("/")).text();
  expect(page).toContain("Parley");
  expect((await parley.fetch("/history")).status).toBe(200);
  const linked = [...page.matchAll(/\/assets\/[^"?]+/g)].map(([path]) => path);
  expect(linked.length).toBeGreaterThan(2);
  const files = readdirSync(PUBLIC, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith("."))
    .map((entry) => join(entry.parentPath, entry.name).slice(PUBLIC.length));
  for (const path of [...linked.map((path) => path.slice("/assets".length)), ...files]) {
    const response = await parley.fetch(`/assets${path}`);
    expect({ path, status: response.status }).toEqual({ path, status: 200 });
    expect(await response.bytes()).toEqual(await Bun.file(join(PUBLIC, path)).bytes());
  }
  expect((await parley.fetch("/assets/build/.inputs")).status).toBe(404);
  const natives =
    /^(database|speech|livekit)-[0-9a-f]{16}\/(\.tmp-.*|[^/]*(node|so\.1|onnx|server))$/;
  for (const path of machine.unpacked()) expect(path).toMatch(natives);
  expect(existsSync(join(machine.home, ".local/share/parley/parley.db"))).toBe(true);
});

test("the licences of all its parts are inside", async () => {
  await using machine = await Machine.with(built);
  const { code, out, err } = await machine.run(["licenses"]);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  for (const name of [...Object.keys(manifest.dependencies), "livekit-server"]) {
    const listed = out.includes(`\n${name} `);
    // What runs models is in parley-offline alone.
    expect({ name, listed }).toEqual({ name, listed: !ENGINE_PACKAGES.includes(name) });
  }
});

test("it decodes what voices send", async () => {
  await using machine = await Machine.with(built);
  await using provider = await startStandIn();
  // Nothing listens there, so that the doctor is soon done with LiveKit.
  const livekit = {
    LIVEKIT_URL: "ws://127.0.0.1:9",
    LIVEKIT_API_KEY: "a",
    LIVEKIT_API_SECRET: "b",
  };
  const env = { ...providerEnv(provider.url, false), ...livekit };
  for (const [format, codec, container] of [
    ["MP3", "libmp3lame", "mp3"],
    ["FLAC", "flac", "flac"],
    ["Ogg", "libvorbis", "ogg"],
    ["WebM", "libopus", "webm"],
  ] as const) {
    provider.quirks = [sends(format, "livekit/agents-js#2320", { codec, container })];
    const { out } = await machine.run(["doctor", "--json"], env);
    expect(out).toContain(`sends ${format}, which Parley decodes`);
  }
});

test("a .env in the working directory is read, a bunfig.toml is not", async () => {
  await using machine = await Machine.with(built);
  const folder = join(machine.folder, "empty");
  await Bun.write(join(folder, ".env"), "PORT=many\n");
  await Bun.write(join(folder, "bunfig.toml"), 'preload = ["./evil.ts"]\n');
  await Bun.write(join(folder, "evil.ts"), 'console.log("evil");\n');
  const { code, out, err } = await machine.run([]);
  expect({ code, out }).toEqual({ code: 1, out: "" });
  expect(err).toStartWith('parley: PORT="many": ');
});

test("the first conversation on a fresh machine works and is stored", async () => {
  await using machine = await Machine.with(built);
  await using provider = await startStandIn({ phrases: [PHRASE] });
  await using parley = await machine.start(providerEnv(provider.url, false));
  // The token is there before the LiveKit server, which is being unpacked.
  await parley.ready();
  {
    await using call = await ParticipantCall.begin(parley);
    const { to } = await call.say(PHRASE);
    await call.caller.hears(to);
    await call.final("agent");
    const kept = await parley.json(`/transcripts/${call.id}`, transcript);
    expect(kept.segments).toEqual([
      { role: "user", text: PHRASE },
      { role: "agent", text: `You said: ${PHRASE}` },
    ]);
  }
  expect(machine.unpacked().some((path) => path.endsWith("/livekit-server"))).toBe(true);
  expect(await parley.stop()).toBe(0);
});

const transcript = z.object({
  segments: z.array(z.object({ role: z.string(), text: z.string() })),
});
