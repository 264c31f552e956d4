import { dirname, join } from "node:path";
import { temporaryFolder } from "../database.ts";
import { LiveKitChild } from "../e2e/livekit-child.ts";
import { within } from "../e2e/wait.ts";
import { type Parley, providerEnv, SOURCE, startParley } from "../parley.ts";
import { startStandIn } from "../stand-in/openai.ts";
import { Conversation, lostIn, seenIn } from "./conversation.ts";
import type { Fault, Outcome } from "./fault.ts";

// Somebody starts Parley although it runs: the second changes nothing, says so and ends.

export const faults: Fault[] = (["the same", "another"] as const).map((port) => ({
  what: `Parley is started a second time on its data, with ${port} port`,
  short: port === "the same",
  run: () => startTwice(port === "the same"),
}));

async function startTwice(samePort: boolean): Promise<Outcome> {
  await using opening = new AsyncDisposableStack();
  const livekit = opening.use(new LiveKitChild());
  await livekit.start();
  const ai = opening.use(await startStandIn({ realtime: false }));
  const dataDir = opening.use(temporaryFolder()).path;
  const env = { ...providerEnv(ai.url, false), ...livekit.env };
  const parley = opening.use(await startParley({ dataDir, env }));
  const conversation = opening.use(await Conversation.begin(parley));
  await conversation.turn("Before the second start.");

  const port = samePort ? new URL(parley.url).port : "0";
  const second = await startAgain(parley, { ...env, PORT: port });
  if (second.code !== 1) throw new Error(`the second ended with ${second.code}`);
  if (!/^parley: [^\n]+\n$/.test(second.stderr)) throw new Error(`it said ${second.stderr}`);
  const address = parley.url.replace("http://", "");
  if (!samePort && !second.stderr.includes(address)) {
    throw new Error(`it does not say that Parley listens at ${address}: ${second.stderr}`);
  }

  const backMs = await conversation.turn("After the second start.");
  const ended = seenIn(conversation.events);
  if (ended !== "nothing") throw new Error(`the conversation saw: ${ended}`);
  const again = await Conversation.begin(parley, { room: conversation.room }).catch(String);
  if (typeof again !== "string" || !again.includes("409")) throw new Error(`two agents: ${again}`);
  const lost = await lostIn(conversation, parley);
  if ((await conversation.stop()) !== 200) throw new Error("the conversation cannot be stopped");
  return { seen: `exit code 1, “${second.stderr.trim()}”`, backMs, lost };
}

/** Starts Parley on the data of another and waits for its end. */
async function startAgain(parley: Parley, env: Record<string, string>) {
  const executable = Bun.env["PARLEY_COMMAND"];
  const child = Bun.spawn(executable ? [executable] : SOURCE, {
    env: {
      PATH: Bun.env["PATH"] ?? "",
      // Where the first has unpacked itself.
      HOME: executable ? join(dirname(executable), "home") : parley.dataDir,
      DATA_DIR: parley.dataDir,
      ...env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const kill = setTimeout(() => child.kill("SIGKILL"), 30_000);
  const ending = Promise.all([child.exited, child.stderr.text()]);
  const [code, stderr] = await within("the second start ends", ending);
  clearTimeout(kill);
  return { code, stderr };
}
