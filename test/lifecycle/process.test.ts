import { expect } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import type { Envelope } from "../../src/domain/transcript.ts";
import { VERSION } from "../../src/version.ts";
import { speak } from "../audio/speech.ts";
import { Caller, grantFrom } from "../caller.ts";
import { ended, saidIn, startEnvironment, storedTranscript } from "../e2e/environment.ts";
import { ParticipantCall } from "../e2e/participant-call.ts";
import { RECORDER, RoomRecorder } from "../e2e/room-recorder.ts";
import { saying, spokenTest as test } from "../e2e/spoken.ts";
import { eventually, within } from "../e2e/wait.ts";
import { testBinary } from "../livekit-binary.ts";
import { type Parley, providerEnv, startParley } from "../parley.ts";
import { liveKitOf } from "../processes.ts";
import { startStandIn } from "../stand-in/openai.ts";
import { startInspectedParley } from "./inspected-parley.ts";

// How the process starts, fails to start, stops, and dies, and what is left then.

const MAIN = join(import.meta.dir, "../../src/main.ts");
const PHRASE = "Hello there.";
/** Long enough that the agent still speaks whenever a test interferes. */
const REPLY = "I am very well, thank you for asking me today. What would you like to talk about?";
const ENVIRONMENT = {
  phrases: [PHRASE],
  reply: () => REPLY,
  prewarm: REPLY.split(/(?<=\.) /),
  realtime: false,
};

class Folder implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "parley-process-"));

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** Waits until a process is gone, or an unreaped remainder of one. */
function isGone(pid: number): Promise<unknown> {
  const gone = async () =>
    !existsSync(`/proc/${pid}`) || readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  return eventually(`process ${pid} is gone`, gone, Boolean);
}

/** A conversation in which the agent speaks right now. */
async function callWhileAgentSpeaks(parley: Parley): Promise<ParticipantCall> {
  await parley.ready();
  const call = await ParticipantCall.begin(parley);
  await call.say(PHRASE);
  await call.final("user");
  await call.agentIs("speaking");
  return call;
}

test("SIGINT in mid-conversation: it ends, is stored whole, and nothing is left", async () => {
  using folder = new Folder();
  await using environment = await startEnvironment({ ...ENVIRONMENT, dataDir: folder.path });
  const call = await callWhileAgentSpeaks(environment.parley);
  const liveKit = liveKitOf(environment.parley.process.pid);
  expect(await within("the end", environment.parley.stop("SIGINT"))).toBe(0);
  await ended(call.listener, "shutdown");
  expect((await call.listener.closed).code).toBe(1000);
  await isGone(liveKit);
  await call.caller[Symbol.asyncDispose]();
  const told = call.listener.events.flatMap(({ type, data }) =>
    type === "transcript" && data.final ? [`${data.role}: ${data.text}`] : [],
  );
  expect(told[0]).toBe(`user: ${PHRASE}`);
  await using again = await startParley({ dataDir: folder.path });
  const stored = await storedTranscript(again, call.id);
  expect(stored.end_reason).toBe("shutdown");
  expect(saidIn(stored)).toEqual(told);
});

test("SIGTERM in mid-conversation: it goes on, others are refused, and its end ends Parley", async () => {
  await using environment = await startEnvironment(ENVIRONMENT);
  const { parley } = environment;
  const call = await callWhileAgentSpeaks(parley);
  const liveKit = liveKitOf(parley.process.pid);
  parley.process.kill("SIGTERM");
  await parley.logged(({ msg }) => String(msg).startsWith("no more conversations"));
  for (const [path, body] of [
    ["/session", { room: "another" }],
    ["/token", { room_name: "another" }],
  ] as const) {
    const refused = await parley.post(path, body);
    expect([refused.status, refused.headers.get("Retry-After")]).toEqual([503, "30"]);
  }
  const now = await parley.fetch("/ready");
  expect([now.status, await now.json()]).toMatchObject([503, { status: "draining" }]);
  expect((await parley.fetch("/health")).status).toBe(200);
  const answer = await call.final("agent");
  expect(answer.text).toBe(REPLY);
  expect((await call.stop()).status).toBe(200);
  await ended(call.listener, "stopped");
  expect(await within("the end", parley.process.exited)).toBe(0);
  await isGone(liveKit);
  await call.caller[Symbol.asyncDispose]();
});

test("a second signal ends the process at once, and livekit-server with it", async () => {
  await using environment = await startEnvironment(ENVIRONMENT);
  const call = await callWhileAgentSpeaks(environment.parley);
  const liveKit = liveKitOf(environment.parley.process.pid);
  // It does not answer, so that a proper end takes seconds.
  process.kill(liveKit, "SIGSTOP");
  environment.parley.process.kill("SIGINT");
  await environment.parley.logged(({ msg }) => msg === "stopping");
  // Signals within 400 ms count as one, so this test has to wait for the time to pass.
  await Bun.sleep(600);
  await within("the end", environment.parley.stop("SIGTERM"));
  expect(environment.parley.process.signalCode).toBe("SIGKILL");
  await isGone(liveKit);
  await call.caller[Symbol.asyncDispose]();
});

test("after kill -9 the next start finds the conversation, ended as crashed", async () => {
  using folder = new Folder();
  await using environment = await startEnvironment({ ...ENVIRONMENT, dataDir: folder.path });
  const call = await callWhileAgentSpeaks(environment.parley);
  const liveKit = liveKitOf(environment.parley.process.pid);
  const isSpoken = ({ type, data }: Envelope) => type === "transcript" && data.role === "agent";
  await call.event("the agent's first words", isSpoken);
  await environment.parley.stop("SIGKILL");
  expect((await call.listener.closed).code).toBe(1006);
  await isGone(liveKit);
  await call.caller[Symbol.asyncDispose]();
  const heard = call.listener.events.findLast(isSpoken);
  const words = heard?.type === "transcript" ? heard.data.text : "nothing";

  await using again = await startParley({ dataDir: folder.path });
  const stored = await storedTranscript(again, call.id);
  expect(stored.end_reason).toBe("crashed");
  expect(saidIn(stored)).toContain(`user: ${PHRASE}`);
  expect(stored.segments.at(-1)).toMatchObject({
    role: "agent",
    text: expect.stringMatching(new RegExp(`^${words}`)),
    interrupted: true,
  });
  // One client comes back with what it had, another had nothing.
  for (const after of [call.now, 0]) {
    const listener = await again.listen(call.id, after);
    expect((await within("the close", listener.closed)).code).toBe(1000);
    // Of the words on the way to a final only the newest are kept.
    const seqs = listener.events.map(({ seq }) => seq);
    expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b).filter((seq) => seq > after));
    expect(listener.events.at(-1)).toMatchObject({
      type: "session",
      data: { state: "ended", reason: "crashed" },
    });
  }
});

test("when livekit-server dies in mid-conversation it is started again, and so can be talked", async () => {
  await using environment = await startEnvironment(ENVIRONMENT);
  const { parley } = environment;
  const call = await callWhileAgentSpeaks(parley);
  const first = liveKitOf(parley.process.pid);
  process.kill(first, "SIGKILL");
  await parley.logged(({ msg }) => msg === "livekit-server stopped; starting it again");
  // The person's own client went with the server; the agent may recover or say why it ended.
  await call.event("what became of it", ({ type, data }) => {
    return type === "error" || (type === "session" && data.state === "ended");
  });
  await call.caller[Symbol.asyncDispose]();
  expect((await within("the stop", call.stop())).status).toBe(200);
  await within("the WebSocket's end", call.listener.closed);
  const isBack = async () => (await parley.fetch("/ready")).status;
  await eventually("LiveKit is back", isBack, (status) => status === 200);
  expect(liveKitOf(parley.process.pid)).not.toBe(first);
  await using next = await callWhileAgentSpeaks(parley);
  expect((await next.final("user")).text).toBe(PHRASE);
});

test("a defect in a callback is logged once, and conversations go on", async () => {
  await using environment = await startInspectedParley(ENVIRONMENT);
  const { parley } = environment;
  await using call = await callWhileAgentSpeaks(parley);
  const surprises = [
    ["throw", "thrown by the test"],
    ["reject", "rejected by the test"],
  ] as const;
  for (const [kind, message] of surprises) {
    await environment.surprise(kind);
    const isIt = ({ err }: Record<string, unknown>) => JSON.stringify(err ?? "").includes(message);
    expect(await within(`the log of ${message}`, parley.logged(isIt))).toMatchObject({
      level: "error",
      err: { stack: expect.stringContaining("inspected-main.ts") },
    });
    expect(parley.log.filter(isIt)).toHaveLength(1);
  }
  const { now } = call;
  await call.say(PHRASE);
  expect((await call.final("user", now)).text).toBe(PHRASE);
});

/** Runs Parley to its end and answers all it printed. */
async function run(args: string[], env: Record<string, string> = {}) {
  using folder = new Folder();
  const child = Bun.spawn([process.execPath, MAIN, ...args], {
    env: { PATH: Bun.env["PATH"] ?? "", DATA_DIR: folder.path, PORT: "0", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [code, stdout, stderr] = await within(
    "the end",
    Promise.all([child.exited, child.stdout.text(), child.stderr.text()]),
  );
  return { code, stdout, stderr };
}

test("what keeps Parley from starting is one plain line", async () => {
  await using running = await startParley();
  await using taken = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
  const cases: [string, Record<string, string>, string][] = [
    ["a taken port", { PORT: String(taken.port) }, "another program listens there"],
    ["a folder in use", { DATA_DIR: running.dataDir }, running.url],
    ["an unwritable folder", { DATA_DIR: "/proc/parley" }, "/proc/parley"],
    ["a folder that is a file", { DATA_DIR: MAIN }, "DATA_DIR"],
    ["a bad variable", { MAX_SESSIONS: "many" }, 'MAX_SESSIONS="many"'],
    ["half of LiveKit", { LIVEKIT_URL: "ws://127.0.0.1:1" }, "LIVEKIT_API_KEY"],
    ["an open host", { HOST: "0.0.0.0" }, "AUTH_PASSWORD"],
  ];
  const outcomes = await Promise.all(cases.map(([, env]) => run([], env)));
  for (const [index, [what, , words]] of cases.entries()) {
    const { code, stderr = "" } = outcomes[index] ?? {};
    expect([what, code, stderr]).toEqual([what, 1, expect.stringContaining(words)]);
    expect(stderr).toMatch(/^parley: [^\n]+\n$/);
  }
});

test("the commands that only tell something", async () => {
  const [version, help, unknown] = await Promise.all([
    run(["version"]),
    run(["--help"]),
    run(["dance"]),
  ]);
  expect(version).toEqual({ code: 0, stdout: `${VERSION}\n`, stderr: "" });
  expect(help).toMatchObject({ code: 0, stdout: expect.stringContaining("Usage:"), stderr: "" });
  expect(unknown).toMatchObject({
    code: 2,
    stdout: "",
    stderr: expect.stringContaining('"dance"'),
  });
});

const started = z.object({ session_id: z.string() });

test("the log is one JSON object a line and holds no secret, not even in detail", async () => {
  using folder = new Folder();
  const file = join(folder.path, "log");
  const secrets = { key: "sk-secret-key-of-the-provider", password: "open-sesame-7391" };
  await using ai = await startStandIn({ ...ENVIRONMENT, apiKey: secrets.key });
  const parley = await startParley({
    // Everything that the process prints, by whatever library, and not only what looks like a log.
    command: ["bash", "-c", 'exec "$0" "$1" > >(tee "$2") 2>&1', process.execPath, MAIN, file],
    env: {
      ...providerEnv(ai.url, false),
      OPENAI_API_KEY: secrets.key,
      AUTH_PASSWORD: secrets.password,
      LOG_LEVEL: "debug",
    },
  });
  const headers = {
    Authorization: `Bearer ${secrets.password}`,
    "Content-Type": "application/json",
  };
  const post = async (path: string, body: unknown) => {
    const init = { method: "POST", headers, body: JSON.stringify(body) };
    return (await parley.fetch(path, init)).json();
  };
  const body = { room_name: "vault", participant_identity: "ada" };
  const { server_url, participant_token } = grantFrom(await post("/token", body));
  // The token is there before LiveKit's server is.
  await parley.logged(({ msg }) => msg === "ready for conversations");
  const caller = await Caller.join(server_url, participant_token);
  const { session_id: id } = started.parse(
    await post("/session", { room: "vault", identity: "ada" }),
  );
  await caller.listenedTo();
  const listener = grantFrom(await post("/token", { ...body, participant_identity: RECORDER }));
  await using recorder = await RoomRecorder.join(server_url, listener.participant_token, "ada");
  await saying(recorder, PHRASE, () => caller.speak(speak(PHRASE, { rate: 48_000 })));
  ai.fail("llm", { kind: "status", status: 401 });
  await parley.fetch(`/token?room=vault&identity=eve&key=${secrets.key}`, { headers });
  await parley.fetch("/session", { headers: { Authorization: "Bearer wrong" } });
  const transcript = async () => (await parley.fetch(`/transcripts/${id}`, { headers })).text();
  await eventually("the words", transcript, (text) => text.includes(PHRASE));
  await parley.fetch(`/session/${id}`, { method: "DELETE", headers });
  await caller[Symbol.asyncDispose]();
  await parley[Symbol.asyncDispose]();

  const text = () => Bun.file(file).text();
  const log = await eventually("the whole log", text, (all) => all.includes('"msg":"stopped"'));
  const lines = log.trimEnd().split("\n");
  expect(lines.filter((line) => !/^\{.*"level":"(debug|info|warn|error)".*\}$/.test(line))).toEqual(
    [],
  );
  for (const line of lines) JSON.parse(line);
  const forbidden = [secrets.key, secrets.password, participant_token, PHRASE, "Bearer wrong"];
  for (const secret of forbidden) expect(log).not.toContain(secret);
  // Any JWT: the agent's own, and those that it gets from LiveKit.
  expect(log).not.toMatch(/eyJ[\w-]{10,}\.eyJ/);
});

test("the log for people is readable", async () => {
  using folder = new Folder();
  const child = Bun.spawn([process.execPath, MAIN], {
    env: {
      PATH: Bun.env["PATH"] ?? "",
      DATA_DIR: folder.path,
      PORT: "0",
      LOG_FORMAT: "pretty",
      LIVEKIT_SERVER_BIN: await testBinary(),
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let log = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    const known = log.includes("listening");
    log += chunk;
    if (!known && log.includes("listening")) child.kill("SIGTERM");
  }
  expect(await child.exited).toBe(0);
  expect(log).not.toContain("ERROR");
  const [first] = Bun.stripANSI(log).split("\n");
  expect(first).toMatch(
    /^\[\d\d:\d\d:\d\d\] INFO: listening \{"url":"http:\/\/127\.0\.0\.1:\d+"\}$/,
  );
});
