// `npm run test:arm64`: tries the executable for Linux on arm64 on another machine, by QEMU's user
// emulation (Debian: qemu-user-static libc6-arm64-cross libstdc++6-arm64-cross). `npm run build --
// --target=linux-arm64` builds it first. It takes minutes, so it is not part of `npm test`.
import { chmod } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { strippedLiveKitServer } from "../../scripts/build/livekit.ts";
import { targetNamed } from "../../scripts/build/targets.ts";
import { VERSION } from "../../src/version.ts";
import { temporaryFolder } from "../database.ts";
import { ParticipantCall } from "../e2e/participant-call.ts";
import { providerEnv, startParley } from "../parley.ts";
import { startStandIn } from "../stand-in/openai.ts";

const PHRASE = "Where is the next bakery?";
const QEMU = ["/usr/bin/qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu"];
const executable = process.argv[2] ?? "dist/parley-linux-arm64";
const command = [...QEMU, join(process.cwd(), executable)];

await using open = new AsyncDisposableStack();
const { path: folder } = open.use(temporaryFolder());
const environment = { HOME: folder, PATH: "/usr/bin:/bin" };

/** Runs a command to its end. @returns what it printed, if that began as it should */
async function run(args: string[], start: string): Promise<string> {
  const child = Bun.spawn([...command, ...args], {
    cwd: folder,
    stdio: ["ignore", "pipe", "inherit"],
    env: environment,
    timeout: 300_000,
  });
  const text = await new Response(child.stdout).text();
  if (!text.startsWith(start)) throw new Error(`${args.join(" ")} printed ${text}`);
  return text;
}

await run(["--version"], `${VERSION}\n`);
say("the version is printed");

const report = z.object({
  checks: z.array(z.object({ name: z.string(), status: z.string() })),
});
const { checks } = report.parse(JSON.parse(await run(["doctor", "--json"], "{")));
// Emulation is slow and starts no other program, so its deadlines pass and LiveKit fails here.
for (const { name, status } of checks) say(`the doctor says of ${name}: ${status}`);

// The system cannot start a program of another processor by itself, so this starts the server.
const server = await strippedLiveKitServer(targetNamed("linux-arm64"));
const wrapper = join(folder, "livekit-server");
await Bun.write(wrapper, `#!/bin/sh\nexec ${QEMU[0]} ${server} "$@"\n`);
await chmod(wrapper, 0o755);

const provider = open.use(await startStandIn({ phrases: [PHRASE] }));
const parley = open.use(
  await startParley({
    command,
    alone: true,
    dataDir: join(folder, "data"),
    env: { ...environment, ...providerEnv(provider.url, false), LIVEKIT_SERVER_BIN: wrapper },
  }),
);
await parley.json("/health", z.object({ status: z.literal("ok") }));
say("it starts and answers /health");
await parley.ready();
say("LiveKit's server and the agent stack run");

const call = open.use(await ParticipantCall.begin(parley));
const { to } = await call.say(PHRASE);
await call.caller.hears(to);
await call.final("agent");
say("a conversation is heard and answered");

function say(what: string): void {
  console.log(`arm64: ${what}`);
}
