import { z } from "zod";
import { linesOf } from "../lib/child-output.ts";
import { parseJson } from "../lib/json.ts";

/** How long a probe may take, in ms: drivers compile shaders at their first start. */
const PROBE_TIMEOUT_MS = 60_000;
const MAX_LINES = 2000;

/** What the probing process prints as its last line. */
export const probeReport = z.object({
  /** The devices that it found; none: the library fell back to the processor. */
  devices: z.array(z.string()).max(64),
});

/** Either the devices that work, or why there are none. */
export type Probe = { devices: readonly string[] } | { problem: string };

/** Vulkan drivers that compute on the processor, many times slower than llama.cpp itself. */
const SOFTWARE = /llvmpipe|lavapipe|swiftshader|software/i;

interface ProbeOptions {
  /** Where the process starts; it must not contain a `.env`. */
  folder: string;
  environment: Record<string, string>;
  timeoutMs?: number;
  signal?: AbortSignal;
}

/**
 * Tries a GPU in a process of its own, since a fault in a driver ends the process.
 *
 * @param command starts the process, which prints a `probeReport`
 */
export async function probeGpu(
  command: readonly string[],
  { folder, environment, timeoutMs = PROBE_TIMEOUT_MS, signal }: ProbeOptions,
): Promise<Probe> {
  let child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  try {
    child = Bun.spawn([...command], {
      stdio: ["ignore", "pipe", "pipe"],
      cwd: folder,
      env: environment,
      ...(signal ? { signal } : {}),
      killSignal: "SIGKILL",
    });
  } catch {
    return { problem: "the probe cannot be started" };
  }
  let isLate = false;
  const deadline = setTimeout(() => {
    isLate = true;
    child.kill("SIGKILL");
  }, timeoutMs);
  try {
    const [last, error] = await Promise.all([lastLine(child.stdout), lastLine(child.stderr)]);
    const code = await child.exited;
    if (isLate) return { problem: `its driver did not answer within ${timeoutMs / 1000} s` };
    if (child.signalCode) return { problem: `its driver crashed (${child.signalCode})` };
    if (code !== 0) return { problem: error || `the probe failed with exit code ${code}` };
    return judge(last);
  } finally {
    clearTimeout(deadline);
    child.kill("SIGKILL");
  }
}

function judge(report: string): Probe {
  const parsed = probeReport.safeParse(parseJson(report));
  if (!parsed.success) return { problem: "the probe gave no report" };
  const devices = parsed.data.devices.filter((name) => !SOFTWARE.test(name));
  if (devices.length > 0) return { devices };
  const [software] = parsed.data.devices;
  if (software === undefined) return { problem: "no device was found" };
  return { problem: `the only device is ${software}, which computes on the processor` };
}

async function lastLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  let last = "";
  let count = 0;
  for await (const line of linesOf(stream)) {
    if (line.trim() !== "" && ++count <= MAX_LINES) last = line.trim().slice(0, 500);
  }
  return last;
}
