import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const MAIN = join(import.meta.dir, "../src/main.ts");
const DEADLINE_MS = 20_000;

/** Ms from the start of a Parley process to its first answer on `/health`, `runs` times. */
export async function measureStartUp(runs: number): Promise<number[]> {
  const dataDir = await mkdtemp(join(tmpdir(), "parley-bench-"));
  try {
    const times: number[] = [];
    // The first run makes the database; it is not counted.
    for (let run = 0; run <= runs; run += 1) {
      const ms = await startOnce([process.execPath, MAIN], { DATA_DIR: dataDir });
      if (run > 0) times.push(ms);
    }
    return times;
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

/** Starts a Parley and stops it. @returns ms until it answered on `/health` */
export async function startOnce(command: string[], env: Record<string, string>): Promise<number> {
  const port = freePort();
  const deadline = AbortSignal.timeout(DEADLINE_MS);
  const startedAt = performance.now();
  const child = Bun.spawn(command, {
    stdout: "pipe",
    stderr: "inherit",
    // An address without a LiveKit server keeps Parley's own server out of the measurement.
    env: {
      PATH: Bun.env["PATH"] ?? "",
      PORT: String(port),
      LOG_FORMAT: "json",
      LIVEKIT_URL: "ws://127.0.0.1:9",
      LIVEKIT_API_KEY: "bench",
      LIVEKIT_API_SECRET: "bench-secret-of-thirty-two-chars",
      ...env,
    },
  });
  try {
    // To ask before it listens would take the processor's time that is being measured.
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      if (text.includes('"listening"')) break;
    }
    const response = await fetch(`http://127.0.0.1:${port}/health`, { signal: deadline });
    if (!response.ok) throw new Error(`/health answered ${response.status}`);
    await response.text();
    return performance.now() - startedAt;
  } finally {
    child.kill();
    await child.exited;
  }
}

function freePort(): number {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}
