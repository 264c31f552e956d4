import { expect } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { testModels } from "../../scripts/test-models.ts";
import { storedTranscript } from "../e2e/environment.ts";
import { ParticipantCall } from "../e2e/participant-call.ts";
import { spokenTest as test } from "../e2e/spoken.ts";
import { eventually } from "../e2e/wait.ts";
import { modelVariables } from "../engine.ts";
import { type Parley, SOURCE, startParley } from "../parley.ts";

const QUESTION = "What is the capital of France?";

/** The process in which Parley's language model runs. */
function engineOf(parley: Parley): number | undefined {
  const { pid } = parley.process;
  const threads = readdirSync(`/proc/${pid}/task`);
  const children = threads.flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8").split(" ").filter(Boolean),
  );
  return children
    .map(Number)
    .find((child) => readFileSync(`/proc/${child}/cmdline`, "utf8").includes("--supervised\0llm"));
}

test("an engine that is killed in mid-turn costs that turn: the conversation goes on", async () => {
  const env = { ...modelVariables(await testModels()), SYSTEM_PROMPT: "Tell long stories." };
  await using parley = await startParley({ command: SOURCE, env });
  await parley.ready();
  {
    await using call = await ParticipantCall.begin(parley);
    const first = engineOf(parley);
    expect(first).toBeDefined();
    await call.say(QUESTION);
    await call.agentIs("thinking");
    process.kill(Number(first), "SIGKILL");
    const told = await call.event("the failure is reported", ({ type }) => type === "error");
    expect(told.data).toMatchObject({ recoverable: true });
    const another = async () => engineOf(parley);
    await eventually("another engine", another, (pid) => pid !== undefined && pid !== first);
    await call.agentIs("listening", told.seq);
    const { now } = call;
    const { to } = await call.say(QUESTION);
    await call.agentIs("speaking", now);
    await call.caller.hears(to);
    await call.stop();
    expect((await storedTranscript(parley, call.id)).end_reason).toBe("stopped");
  }
  const last = engineOf(parley);
  expect(await parley.stop()).toBe(0);
  expect(existsSync(`/proc/${last}`)).toBe(false);
});
