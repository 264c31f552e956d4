import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A real `redis-server` of a test's own: loopback, a free port, a folder that goes with it. */
export interface RedisServer extends AsyncDisposable {
  url: string;
  /** Ends it as a crash would (SIGKILL). */
  kill(): Promise<void>;
  /** Sends it a signal, such as SIGSTOP. */
  signal(signal: NodeJS.Signals): void;
  /** Starts it again on the same port. With `empty` it has lost what it held. */
  start(options?: { empty?: boolean }): Promise<void>;
}

/** Starts `redis-server` from `PATH`; resolves once it accepts connections. */
export async function startRedis(): Promise<RedisServer> {
  const binary = Bun.which("redis-server");
  if (binary === null) {
    throw new Error(
      "These tests need redis-server on PATH (Debian: apt-get install redis-server; macOS: brew install redis).",
    );
  }
  const folder = mkdtempSync(join(tmpdir(), "parley-redis-"));
  const port = await freePort();
  let running = await spawn(binary, port, folder);
  const kill = async () => {
    running.kill("SIGKILL");
    await running.exited;
  };
  return {
    url: `redis://127.0.0.1:${port}`,
    kill,
    signal: (signal) => running.kill(signal),
    start: async ({ empty = false } = {}) => {
      if (empty) rmSync(join(folder, "appendonlydir"), { recursive: true, force: true });
      running = await spawn(binary, port, folder);
    },
    [Symbol.asyncDispose]: async () => {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function spawn(binary: string, port: number, folder: string) {
  const process = Bun.spawn(
    [
      binary,
      ...["--bind", "127.0.0.1", "--port", String(port), "--dir", folder, "--save", ""],
      ...["--appendonly", "yes", "--appendfsync", "always"],
    ],
    { stdout: "pipe", stderr: "inherit", stdin: "ignore" },
  );
  const decoder = new TextDecoder();
  let log = "";
  const reader = process.stdout.getReader();
  while (!log.includes("Ready to accept connections")) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`redis-server did not start:\n${log}`);
    log += decoder.decode(value, { stream: true });
  }
  // Read on, so that the pipe never fills.
  void drain(reader);
  return process;
}

async function drain(reader: { read(): Promise<{ done: boolean }> }): Promise<void> {
  while (!(await reader.read()).done);
}

function freePort(): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const server = createServer();
  server.on("error", reject);
  server.listen(0, "127.0.0.1", () => {
    const address = server.address();
    const port = typeof address === "object" && address ? address.port : 0;
    server.close(() => resolve(port));
  });
  return promise;
}
