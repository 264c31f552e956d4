import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { testBinary } from "../../test/livekit-binary.ts";
import { Failure } from "../errors.ts";
import { isRunning } from "../lib/is-running.ts";
import { createRoomService } from "./rooms.ts";
import { type LiveKitServer, startLiveKitServer } from "./server-process.ts";
import { agentToken, userToken } from "./tokens.ts";

const logger = pino({ level: "silent" });
let binary: string;
let folder: string;

beforeAll(async () => {
  binary = await testBinary();
  folder = mkdtempSync(join(tmpdir(), "parley-livekit-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function start(): LiveKitServer {
  return startLiveKitServer({ binary: async () => binary, logger });
}

function pidOf(server: LiveKitServer): number {
  const { pid } = server;
  if (pid === undefined) throw new Error("no server process");
  return pid;
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 15_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await Bun.sleep(20);
  }
}

async function joinRoom(url: string, token: string) {
  const { Room } = await import("@livekit/rtc-node");
  const room = new Room();
  await room.connect(url, token, { autoSubscribe: true, dynacast: false });
  return room;
}

test("the server answers, and has exited after disposal", async () => {
  const server = start();
  expect(server.url).toMatch(/^ws:\/\/127\.0\.0\.1:\d+$/);
  expect(server.apiSecret.length).toBeGreaterThanOrEqual(32);
  expect(await server.healthy()).toBe(false);
  await server.ready();
  expect(server.state).toBe("running");
  expect(await server.healthy()).toBe(true);
  const pid = pidOf(server);
  await server[Symbol.asyncDispose]();
  expect(server.state).toBe("stopped");
  expect(isRunning(pid)).toBe(false);
  expect(await server.healthy()).toBe(false);
  await until("its watcher is gone", () => leftOf(pid).length === 0);
});

test("a person and an agent join with their tokens; a wrong key is refused", async () => {
  await using server = start();
  await server.ready();
  const { url, apiKey, apiSecret } = server;
  const user = { apiKey, apiSecret, room: "räume/1", identity: "anna", name: "Anna" };
  const person = await joinRoom(url, await userToken(user));
  const agent = await joinRoom(url, await agentToken({ ...user, identity: "agent-1" }));
  const rooms = createRoomService({ url, apiKey, apiSecret });
  expect(await rooms.listRooms()).toEqual(["räume/1"]);
  const participants = await rooms.participants("räume/1");
  expect(participants.map(({ identity, kind }) => `${identity} ${kind}`).sort()).toEqual([
    "agent-1 agent",
    "anna standard",
  ]);
  expect(await rooms.participants("elsewhere")).toEqual([]);
  await agent.localParticipant?.setAttributes({ "lk.agent.state": "listening" });

  const forged = await userToken({ ...user, apiSecret: "x".repeat(43) });
  await expect(joinRoom(url, forged)).rejects.toThrow();
  const stranger = createRoomService({ url, apiKey, apiSecret: "x".repeat(43) });
  await expect(stranger.listRooms()).rejects.toThrow("refused the key");

  await agent.disconnect();
  await person.disconnect();
}, 30_000);

test("names of 128 characters that take 512 bytes are accepted", async () => {
  await using server = start();
  await server.ready();
  const { url, apiKey, apiSecret } = server;
  const long = "🦜".repeat(64);
  const person = await joinRoom(
    url,
    await userToken({ apiKey, apiSecret, room: "話".repeat(128), identity: long, name: long }),
  );
  expect(person.localParticipant?.identity).toBe(long);
  await person.disconnect();
}, 30_000);

test("participants who stay do not delay the server's exit", async () => {
  const server = start();
  await server.ready();
  const { url, apiKey, apiSecret } = server;
  const person = await joinRoom(
    url,
    await userToken({ apiKey, apiSecret, room: "r", identity: "anna" }),
  );
  const startedAt = performance.now();
  await server[Symbol.asyncDispose]();
  expect(performance.now() - startedAt).toBeLessThan(3500);
  await person.disconnect();
}, 30_000);

test("a killed server is restarted with the same address and keys", async () => {
  await using server = start();
  await server.ready();
  const { url, apiKey, apiSecret } = server;
  const first = pidOf(server);
  process.kill(first, "SIGKILL");
  await until("the server is back", async () => server.pid !== first && (await server.healthy()));
  expect({ url: server.url, apiKey: server.apiKey, apiSecret: server.apiSecret }).toEqual({
    url,
    apiKey,
    apiSecret,
  });
  expect(await createRoomService({ url, apiKey, apiSecret }).listRooms()).toEqual([]);
  await until("the watcher of the first is gone", () => leftOf(first).length === 0);
}, 30_000);

test("a server that hangs is replaced at the same address, and waited for meanwhile", async () => {
  await using server = start();
  await server.ready();
  const { url, apiKey, apiSecret } = server;
  const first = pidOf(server);
  process.kill(first, "SIGSTOP");
  await until("it hangs", async () => !(await server.healthy()));
  await server.ready();
  expect({ url: server.url, apiKey: server.apiKey, restarts: server.restarts }).toEqual({
    url,
    apiKey,
    restarts: 1,
  });
  expect(isRunning(first)).toBe(false);
  expect(await createRoomService({ url, apiKey, apiSecret }).listRooms()).toEqual([]);
}, 40_000);

test("two servers run side by side with keys of their own", async () => {
  await using first = start();
  await using second = start();
  await Promise.all([first.ready(), second.ready()]);
  expect(first.url).not.toBe(second.url);
  const { apiKey, apiSecret } = first;
  await expect(
    createRoomService({ url: second.url, apiKey, apiSecret }).listRooms(),
  ).rejects.toThrow(Failure);
});

test("kill -9 of the process that started it also ends the server", async () => {
  const script = join(folder, "parent.ts");
  await Bun.write(
    script,
    `import { pino } from ${JSON.stringify(import.meta.resolve("pino"))};
import { startLiveKitServer } from ${JSON.stringify(join(import.meta.dir, "server-process.ts"))};
const binary = async () => ${JSON.stringify(binary)};
const server = startLiveKitServer({ binary, logger: pino({ level: "silent" }) });
await server.ready();
console.log(server.pid);`,
  );
  const parent = Bun.spawn([process.execPath, script], {
    stdout: "pipe",
    stderr: "inherit",
    stdin: "ignore",
  });
  const { value } = await parent.stdout.getReader().read();
  const pid = Number(new TextDecoder().decode(value));
  expect(pid).toBeGreaterThan(0);
  expect(isRunning(pid)).toBe(true);
  parent.kill("SIGKILL");
  await until("the server is gone", () => !isRunning(pid));
  await until("its watcher is gone", () => leftOf(pid).length === 0);
}, 30_000);

test("the secret is in no argument, and the media port is on loopback only", async () => {
  await using server = start();
  await server.ready();
  const pid = pidOf(server);
  if (!existsSync("/proc/self")) return;
  const argv = await Bun.file(`/proc/${pid}/cmdline`).text();
  expect(argv).not.toContain(server.apiSecret);
  const sockets = await socketsOf(pid);
  expect(sockets.length).toBeGreaterThanOrEqual(2);
  expect(sockets.filter((address) => address !== "0100007F")).toEqual([]);
});

test("a binary that cannot start is a failure that says why", async () => {
  const broken = join(folder, "broken");
  await Bun.write(broken, "#!/bin/sh\necho no such thing >&2\nexit 3\n");
  const { exitCode } = Bun.spawnSync(["chmod", "700", broken]);
  expect(exitCode).toBe(0);
  await using server = startLiveKitServer({ binary: async () => broken, logger });
  await expect(server.ready()).rejects.toThrow(/5 times before it answered: no such thing/);
  expect(server.state).toBe("failed");
}, 30_000);

test("an unavailable binary is a failure, and disposal cancels the search", async () => {
  const missing = new Failure("unavailable", "no such binary");
  await using server = startLiveKitServer({ binary: () => Promise.reject(missing), logger });
  await expect(server.ready()).rejects.toBe(missing);

  const searching = startLiveKitServer({
    binary: (signal) =>
      new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
      }),
    logger,
  });
  await searching[Symbol.asyncDispose]();
  expect(searching.state).toBe("stopped");
  await expect(searching.ready()).rejects.toThrow("LiveKit was stopped");
});

/** What is left of a server's process group; the dead that init has yet to collect do not count. */
function leftOf(pid: number): string[] {
  const { stdout } = Bun.spawnSync(["ps", "-eo", "pgid=,stat=,args="]);
  return stdout
    .toString()
    .split("\n")
    .filter((line) => {
      const [group, state] = line.trim().split(/\s+/);
      return Number(group) === pid && !state?.startsWith("Z");
    });
}

/** Local addresses (hexadecimal, as Linux prints them) of a process's listening sockets. */
async function socketsOf(pid: number): Promise<string[]> {
  const links = Bun.spawnSync(["ls", "-l", `/proc/${pid}/fd`]).stdout.toString();
  const inodes = new Set([...links.matchAll(/socket:\[(\d+)\]/g)].map((match) => match[1]));
  const addresses: string[] = [];
  for (const table of ["tcp", "tcp6", "udp", "udp6"]) {
    for (const line of (await Bun.file(`/proc/${pid}/net/${table}`).text()).split("\n").slice(1)) {
      const fields = line.trim().split(/\s+/);
      if (inodes.has(fields[9])) addresses.push(String(fields[1]?.split(":")[0]));
    }
  }
  return addresses;
}
