import { readFile } from "node:fs/promises";
import { isLoopback } from "../../lib/loopback.ts";
import { type Finding, failed, ok, warning } from "./check.ts";

/** Servers refuse tokens that begin in their future, and forgive about this much. */
const DRIFT_MS = 60_000;
const ASK_MS = 3000;
/** Open files of Parley without sessions, and a conversation's sockets, pipes and threads' files. */
const FILES_AT_REST = 256;
const FILES_A_SESSION = 32;

/**
 * Compares the clock with the `Date` of the first server elsewhere that answers.
 *
 * @param urls of servers, the most important first; those on this machine share its clock
 * @param tokensTravel whether tokens signed here are judged by another machine's clock
 */
export async function checkClock(
  urls: readonly string[],
  tokensTravel: boolean,
  now: () => number = Date.now,
): Promise<Finding> {
  const remote = [...new Set(urls)].filter((url) => !isLoopback(new URL(url).hostname));
  if (remote.length === 0) return ok("every server is on this machine and has the same clock");
  for (const url of remote) {
    const drift = await driftFrom(url, now);
    if (drift === undefined) continue;
    const seconds = Math.round(Math.abs(drift) / 1000);
    const { host } = new URL(url);
    if (Math.abs(drift) <= DRIFT_MS) return ok(`within ${Math.max(2, seconds)} s of ${host}`);
    const detail = `${seconds} s ${drift > 0 ? "ahead of" : "behind"} ${host}`;
    const mend =
      "Set the clock (timedatectl set-ntp true): with a wrong one LiveKit refuses tokens.";
    return tokensTravel ? failed(detail, mend) : warning(detail, mend);
  }
  return warning("no server told its time", "See the checks of LiveKit and the providers.");
}

async function driftFrom(url: string, now: () => number): Promise<number | undefined> {
  try {
    const response = await fetch(url.replace(/^ws/, "http"), {
      redirect: "manual",
      signal: AbortSignal.timeout(ASK_MS),
    });
    await response.body?.cancel();
    const date = Date.parse(response.headers.get("date") ?? "");
    return Number.isNaN(date) ? undefined : now() - date;
  } catch {
    return undefined;
  }
}

/** Compares the limit of open files with what the configured number of sessions may need. */
export async function checkOpenFiles(
  maxSessions: number,
  readLimit: () => Promise<number | undefined> = openFileLimit,
): Promise<Finding> {
  const limit = await readLimit();
  if (limit === undefined) return ok("this system sets no limit that can be read");
  const wanted = FILES_AT_REST + maxSessions * FILES_A_SESSION;
  const shown = Number.isFinite(limit) ? String(limit) : "unlimited";
  if (limit >= wanted) return ok(`${shown}, enough for ${maxSessions} sessions`);
  return warning(
    `${limit}, and ${maxSessions} sessions may need ${wanted}`,
    `Raise it (ulimit -n ${wanted}; systemd: LimitNOFILE=${wanted}), or lower MAX_SESSIONS.`,
  );
}

async function openFileLimit(): Promise<number | undefined> {
  if (process.platform === "win32") return undefined;
  try {
    const limits = await readFile("/proc/self/limits", "utf8");
    return numberOf(/^Max open files\s+(\S+)/m.exec(limits)?.[1]);
  } catch {
    // macOS has no /proc; a shell inherits the limit.
    const child = Bun.spawn(["/bin/sh", "-c", "ulimit -n"], { stdin: "ignore", timeout: 2000 });
    return numberOf((await new Response(child.stdout).text()).trim());
  }
}

function numberOf(text: string | undefined): number | undefined {
  if (text === "unlimited") return Number.POSITIVE_INFINITY;
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}
