import { expect, test } from "bun:test";
import { memoryLogger } from "../../test/event-log.ts";
import { Failure } from "../errors.ts";
import { ChildLog } from "./child-output.ts";
import { isRunning } from "./is-running.ts";
import { type SupervisedOptions, SupervisedProcess } from "./supervised.ts";

const SECRET = "s3cret-of-the-child";
const HOST = "127.0.0.1";

class Output extends ChildLog {
  override line(raw: string): void {
    if (raw === "listening") this.listening = true;
    else this.note(this.redact(raw));
  }
}

/** A server in a child process; it can be told to stop answering, and to ignore SIGTERM. */
const SERVER = `
  let answers = true;
  process.on("SIGTERM", () => { if (!process.env.STUBBORN) process.exit(0); });
  Bun.serve({
    hostname: "${HOST}",
    port: Number(process.env.PORT),
    routes: {
      "/health": () => answers ? new Response("well") : new Response("ill", { status: 503 }),
      "/fall-ill": () => { answers = false; return new Response(); },
      "/crash": () => process.exit(4),
    },
  });
  console.log("listening");`;
const BROKEN = `console.error("no port for " + process.env.SECRET); process.exit(3);`;
/** A server that finds its port taken. */
const LATE = `await Bun.sleep(300); ${SERVER}`;
/** A server that takes its time, so that a check of it is nearly always under way. */
const SLOW = SERVER.replace("answers ?", "answers ? await Bun.sleep(100) ??").replace(
  '"/health": ()',
  '"/health": async ()',
);
const SILENT = "await Bun.sleep(60_000);";

function supervise(script: string, change: Partial<SupervisedOptions> = {}) {
  const logger = memoryLogger();
  const child = new SupervisedProcess({
    name: "the child",
    host: HOST,
    command: (port) => ({
      argv: [process.execPath, "-e", script],
      env: { PORT: String(port), SECRET },
    }),
    health: { path: "/health", body: "well", timeoutMs: 1000, intervalMs: 20, failures: 2 },
    output: new Output(SECRET),
    logger,
    maxStarts: 3,
    firstBackoffMs: 10,
    stopSignals: [
      ["SIGTERM", 0],
      ["SIGKILL", 300],
    ],
    failureMessage: (problem) => `The child ${problem}. Try another.`,
    stoppedMessage: "The child was stopped",
    ...change,
  });
  return { child, lines: logger.lines };
}

function ask(child: SupervisedProcess, path: string): Promise<unknown> {
  return fetch(`http://${HOST}:${child.port}${path}`, { keepalive: false }).catch(() => {});
}

function isAlive(pid: number | undefined): boolean {
  return pid !== undefined && isRunning(pid);
}

test("a child starts on demand, answers at its address and is gone after disposal", async () => {
  const { child } = supervise(SERVER);
  expect(child.state).toBe("idle");
  expect(child.pid).toBeUndefined();
  // Until then the port is taken, so that no other program gets it.
  expect(() => Bun.listen({ hostname: HOST, port: child.port, socket: { data() {} } })).toThrow();
  child.start();
  child.start();
  await child.answered;
  expect(child.state).toBe("running");
  expect(await child.healthy()).toBe(true);
  const { pid } = child;
  expect(isAlive(pid)).toBe(true);
  await child[Symbol.asyncDispose]();
  expect(isAlive(pid)).toBe(false);
  expect(child.state).toBe("stopped");
  expect(await child.healthy()).toBe(false);
  child.start();
  await expect(child.answered).rejects.toThrow("The child was stopped");
});

test("a child that crashes is started again at the same address", async () => {
  const calls: string[] = [];
  const { child, lines } = supervise(SERVER, {
    onAnswer: () => void calls.push("answer"),
    onExit: ({ exitCode }) => void calls.push(`exit ${exitCode}`),
  });
  await using _child = child;
  child.start();
  await child.answered;
  const { port, pid } = child;
  await ask(child, "/crash");
  await child.exited(5000);
  expect(child.pid).toBeUndefined();
  await child.answered;
  expect(child.port).toBe(port);
  expect(child.pid).not.toBe(pid);
  expect(calls).toEqual(["answer", "exit 4", "answer"]);
  expect(lines).toContainEqual(
    expect.objectContaining({ msg: "the child stopped; starting it again", restartInMs: 10 }),
  );
});

test("one that never answers is given up with its last errors, and started again when asked", async () => {
  const { child, lines } = supervise(BROKEN);
  await using _child = child;
  for (let attempt = 0; attempt < 2; attempt++) {
    lines.length = 0;
    child.start();
    const error: unknown = await child.answered.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Failure);
    expect(String(error)).toBe(
      "Failure: The child stopped 3 times before it answered: no port for ***. Try another.",
    );
    expect(child.state).toBe("failed");
    // Each back-off is twice the one before.
    expect(lines.map(({ restartInMs }) => restartInMs)).toEqual([10, 20, undefined]);
  }
});

test("between two children the port is closed to other programs", async () => {
  const { child } = supervise(SERVER, { firstBackoffMs: 60_000 });
  await using _child = child;
  child.start();
  await child.answered;
  await ask(child, "/crash");
  await child.exited(5000);
  expect(() => Bun.listen({ hostname: HOST, port: child.port, socket: { data() {} } })).toThrow();
  expect(await child.healthy()).toBe(false);
});

test("another program that gets the port is noticed and asked nothing, and the child moves", async () => {
  const requests: string[] = [];
  let foreign: ReturnType<typeof Bun.serve> | undefined;
  let moves = 0;
  const { child, lines } = supervise(SERVER, {
    // The second child is slow to take its port, so that another program is faster.
    command: (port) => {
      const isFirst = child.restarts === 0;
      if (!isFirst && !foreign) takeWhenFree(port, requests, (server) => (foreign = server));
      const script = isFirst || foreign ? SERVER : LATE;
      return { argv: [process.execPath, "-e", script], env: { PORT: String(port) } };
    },
    onMoved: () => moves++,
  });
  await using _child = child;
  child.start();
  await child.answered;
  const { port } = child;
  await ask(child, "/crash");
  await child.exited(5000);
  await child.ready();
  expect(child.port).not.toBe(port);
  expect({ moves, requests }).toEqual({ moves: 1, requests: [] });
  expect(lines).toContainEqual(
    expect.objectContaining({
      msg: "another program took the port of the child, which gets a new one",
      port,
      newPort: child.port,
    }),
  );
  await foreign?.stop(true);
});

/** Takes a port as soon as it can, says it is well there, and notes what it is asked. */
function takeWhenFree(
  port: number,
  requests: string[],
  onTaken: (server: ReturnType<typeof Bun.serve>) => void,
): void {
  const fetch = ({ url }: Request) => {
    requests.push(url);
    return new Response("well");
  };
  const attempt = setInterval(() => {
    try {
      onTaken(Bun.serve({ hostname: HOST, port, fetch }));
      clearInterval(attempt);
    } catch {
      // The supervisor still holds it.
    }
  }, 1);
}

test("a child that does not answer in time is killed", async () => {
  const { child } = supervise(SILENT, { startTimeoutMs: 200, maxStarts: 1 });
  await using _child = child;
  child.start();
  await expect(child.answered).rejects.toThrow("it did not answer within 0.2 s");
});

test("a child that stops answering is killed and started again", async () => {
  const { child, lines } = supervise(SERVER);
  await using _child = child;
  child.start();
  await child.answered;
  const { pid } = child;
  await ask(child, "/fall-ill");
  await child.exited(5000);
  await child.answered;
  expect(child.pid).not.toBe(pid);
  expect(lines).toContainEqual(expect.objectContaining({ lastErrors: "it stopped answering" }));
});

test("a child that is stopped by a signal is replaced, and callers wait for the next", async () => {
  const { child } = supervise(SERVER, {
    health: { path: "/health", body: "well", timeoutMs: 200, intervalMs: 20, failures: 2 },
  });
  await using _child = child;
  child.start();
  await child.ready();
  const { pid, port } = child;
  process.kill(Number(pid), "SIGSTOP");
  await child.ready();
  expect({ port: child.port, restarts: child.restarts }).toEqual({ port, restarts: 1 });
  expect(child.pid).not.toBe(pid);
  expect(isAlive(pid)).toBe(false);
});

test("a check that fails while this process stands still does not count", async () => {
  const { child } = supervise(SLOW, {
    health: { path: "/health", body: "well", timeoutMs: 400, intervalMs: 10, failures: 1 },
  });
  await using _child = child;
  child.start();
  await child.answered;
  const { pid } = child;
  // As when the machine sleeps: neither runs, and the deadline of the check is over afterwards.
  for (let sleeps = 0; sleeps < 3; sleeps++) {
    process.kill(Number(pid), "SIGSTOP");
    Bun.sleepSync(1000);
    process.kill(Number(pid), "SIGCONT");
    await child.ready();
  }
  expect(child.pid).toBe(pid);
});

test("a child that ignores SIGTERM is killed", async () => {
  const { child } = supervise(SERVER, {
    command: (port) => ({
      argv: [process.execPath, "-e", SERVER],
      env: { PORT: String(port), STUBBORN: "yes" },
    }),
  });
  child.start();
  await child.answered;
  const { pid } = child;
  await child[Symbol.asyncDispose]();
  expect(isAlive(pid)).toBe(false);
});

test("without a command there is a failure at once, and disposal cancels the search for one", async () => {
  const missing = () => Promise.reject(new Error("it is not installed"));
  const { child } = supervise(SERVER, { command: missing });
  await using _child = child;
  child.start();
  await expect(child.answered).rejects.toThrow(
    "The child could not be started: it is not installed. Try another.",
  );

  const { child: searching } = supervise(SERVER, {
    command: (_, stopping) =>
      new Promise((_, reject) => {
        stopping.addEventListener("abort", () => reject(stopping.reason));
      }),
  });
  searching.start();
  const { answered } = searching;
  await searching[Symbol.asyncDispose]();
  await expect(answered).rejects.toThrow("The child was stopped");
});
