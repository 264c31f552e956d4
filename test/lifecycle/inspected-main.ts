// The real program (`src/main.ts`, with its signals and exit code) with a window into it: a second
// server on loopback that tells what the process holds. `inspected-parley.ts` runs this and asks it.
import { heapStats } from "bun:jsc";
import { EventEmitter } from "node:events";
import { readdirSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { anonymousBytes } from "../processes.ts";
import type { Holdings } from "./inspected-parley.ts";

/** Objects of which each session makes some, by constructor. None may outlive its session. */
const PER_SESSION =
  /^(Room|LocalParticipant|RemoteParticipant|AudioSource|AudioStreamSource|FfiHandle|AgentSession|AgentActivity|AudioRecognition|RoomIO|RunningAgent|SessionVad|VADStream|UtteranceStt|RealtimeStt|StreamingTts|OpenAI|Timeout)$/;

const window = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  // A connection that the test keeps between two looks would be closed after 10 s.
  idleTimeout: 0,
  routes: {
    "/holdings": async () => Response.json(await holdings()),
    // Defects, as they could be in any callback.
    "/throw": () => {
      setTimeout(() => {
        throw new Error("thrown by the test");
      });
      return new Response();
    },
    "/reject": () => {
      void Promise.reject(new Error("rejected by the test"));
      return new Response();
    },
    "/objects": async () => Response.json(await objects()),
  },
});
console.log(JSON.stringify({ msg: "window", url: window.url.origin }));
await import("../../src/main.ts");

/** Collects what can be collected; finalizers run between the rounds. */
async function collect(): Promise<void> {
  for (let round = 0; round < 3; round++) {
    Bun.gc(true);
    await setImmediate();
  }
}

async function holdings(): Promise<Holdings> {
  await collect();
  const { rss, heapUsed } = process.memoryUsage();
  const rtc: unknown = Reflect.get(globalThis, "_ffiClientInstance");
  const processNames = process.eventNames();
  return {
    rss,
    anonymous: anonymousBytes(),
    heapUsed,
    descriptors: readdirSync("/proc/self/fd").length,
    threads: readdirSync("/proc/self/task").length,
    rtcListeners: rtc instanceof EventEmitter ? rtc.listenerCount("ffi_event") : 0,
    processListeners: processNames.reduce((sum, name) => sum + process.listenerCount(name), 0),
    timers: heapStats().objectTypeCounts["Timeout"] ?? 0,
  };
}

/** How many objects of each class in `PER_SESSION` are alive. */
async function objects(): Promise<Record<string, number>> {
  await collect();
  const { nodes, nodeClassNames } = Bun.generateHeapSnapshot();
  const counts: Record<string, number> = {};
  // Four numbers a node: id, size, class, flags.
  for (let at = 2; at < nodes.length; at += 4) {
    const name = nodeClassNames[nodes[at] ?? -1] ?? "";
    if (PER_SESSION.test(name)) counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}
