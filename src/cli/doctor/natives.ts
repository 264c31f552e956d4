import Sqlite from "better-sqlite3";
import { messageOf } from "../../errors.ts";
import type { Resources } from "../../resources.ts";
import { type Check, type Finding, failed, ok } from "./check.ts";

const DEADLINE_MS = 5000;
const SPEED = "Try again when the machine is less busy.";
const MEND =
  "Run Parley on Linux with glibc, macOS or Windows, on x64 or arm64. From source, delete " +
  "node_modules and install again. The executable: is its cache folder on a disk mounted noexec?";

/** Checks that every native library loads, each by itself so that the one at fault is named. */
export function nativeChecks(resources: Resources): Check[] {
  const check = (name: string, load: () => Promise<string>): Check => ({
    name,
    deadlineMs: DEADLINE_MS,
    mendLate: SPEED,
    run: () => finding(load),
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
      (await import("./rtc-library.ts")).tryRtcLibrary();
      return "rtc-node loads";
    }),
    check("voice detection", async () => {
      const { vadModel } = await resources.speech();
      await (await import("./voice-library.ts")).tryVoiceModel(vadModel);
      return "onnxruntime and silero's model load";
    }),
  ];
}

async function finding(load: () => Promise<string>): Promise<Finding> {
  try {
    return ok(await load());
  } catch (error) {
    return failed(`does not load: ${messageOf(error)}`, MEND);
  }
}
