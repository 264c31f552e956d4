import { readFile } from "node:fs/promises";
import Sqlite from "better-sqlite3";
import { messageOf } from "../../errors.ts";
import { isLoopback } from "../../lib/loopback.ts";
import type { Resources } from "../../resources.ts";
import { type Check, type Finding, failed, ok, warning } from "./check.ts";

const LOAD_DEADLINE_MS = 5000;
const LOAD_HINT =
  "Parley runs on Linux with glibc, macOS and Windows, on x64 and arm64. From source: delete " +
  "node_modules and install again. As an executable: check that the disk of its cache folder is " +
  "not mounted noexec.";

/** Checks that the native libraries load, one check for each, so that the broken one is named. */
export function libraryChecks(resources: Resources): Check[] {
  const check = (name: string, load: () => Promise<string>): Check => ({
    name,
    deadlineMs: LOAD_DEADLINE_MS,
    timeoutHint: "Try again when the machine is less busy.",
    run: async () => {
      try {
        return ok(await load());
      } catch (error) {
        return failed(`does not load: ${messageOf(error)}`, LOAD_HINT);
      }
    },
  });
  return [
    check("SQLite", async () => {
      await resources.database();
      const handle = new Sqlite(":memory:");
      const version = handle.prepare("SELECT sqlite_version()").pluck().get();
      handle.close();
      return `SQLite ${version} loads`;
    }),
    check("WebRTC library", async () => {
      await resources.speech();
      (await import("./web-rtc.ts")).tryRtcLibrary();
      return "rtc-node loads";
    }),
    check("voice detection", async () => {
      const { vadModel } = await resources.speech();
      await (await import("./voice-detection.ts")).tryVoiceModel(vadModel);
      return "onnxruntime and silero's model load";
    }),
  ];
}

/** Servers refuse tokens that start in their future, with a tolerance of about this much. */
const MAX_DRIFT_MS = 60_000;
const DATE_REQUEST_TIMEOUT_MS = 3000;

/**
 * Compares this machine's clock with the `Date` header of the first remote server that answers.
 *
 * @param urls of servers, the most important first; those on this machine share its clock
 * @param tokensTravel whether another machine judges the tokens that are signed here by its clock
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
    if (Math.abs(drift) <= MAX_DRIFT_MS) return ok(`within ${Math.max(2, seconds)} s of ${host}`);
    const detail = `${seconds} s ${drift > 0 ? "ahead of" : "behind"} ${host}`;
    const hint =
      "Set the clock (timedatectl set-ntp true): LiveKit refuses tokens from a wrong one.";
    return tokensTravel ? failed(detail, hint) : warning(detail, hint);
  }
  return warning(
    "no server sent its time",
    "See the results for LiveKit and the providers: none of them answered.",
  );
}

/** @returns how far this clock is ahead of the server's, in ms; undefined if it does not say */
async function driftFrom(url: string, now: () => number): Promise<number | undefined> {
  try {
    const response = await fetch(url.replace(/^ws/, "http"), {
      redirect: "manual",
      signal: AbortSignal.timeout(DATE_REQUEST_TIMEOUT_MS),
    });
    await response.body?.cancel();
    const date = Date.parse(response.headers.get("date") ?? "");
    return Number.isNaN(date) ? undefined : now() - date;
  } catch {
    return undefined;
  }
}

/** Open files of Parley without any session. */
const IDLE_FILES = 256;
/** Sockets, pipes and threads of one conversation. */
const FILES_PER_SESSION = 32;

/** Compares the limit of open files with what the configured number of sessions may need. */
export async function checkOpenFiles(
  maxSessions: number,
  readLimit: () => Promise<number | undefined> = openFileLimit,
): Promise<Finding> {
  const limit = await readLimit();
  if (limit === undefined) return ok("this system has no limit that can be read");
  const needed = IDLE_FILES + maxSessions * FILES_PER_SESSION;
  const limitText = Number.isFinite(limit) ? String(limit) : "unlimited";
  if (limit >= needed) return ok(`${limitText}, enough for ${maxSessions} sessions`);
  return warning(
    `${limit}, but ${maxSessions} sessions may need ${needed}`,
    `Raise it (ulimit -n ${needed}; systemd: LimitNOFILE=${needed}), or lower MAX_SESSIONS.`,
  );
}

async function openFileLimit(): Promise<number | undefined> {
  if (process.platform === "win32") return undefined;
  try {
    const limits = await readFile("/proc/self/limits", "utf8");
    return parseLimit(/^Max open files\s+(\S+)/m.exec(limits)?.[1]);
  } catch {
    // macOS has no /proc, but a shell inherits the limit and prints it.
    const child = Bun.spawn(["/bin/sh", "-c", "ulimit -n"], { stdin: "ignore", timeout: 2000 });
    return parseLimit((await new Response(child.stdout).text()).trim());
  }
}

function parseLimit(text: string | undefined): number | undefined {
  if (text === "unlimited") return Number.POSITIVE_INFINITY;
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}
