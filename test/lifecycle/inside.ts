// The real program (`src/main.ts`, with its signals and exit code) with a window into it: a second
// server on loopback that tells what the process holds. Only tests run this.
import { readdirSync } from "node:fs";
import { EventEmitter } from "node:events";
import { heapStats } from "bun:jsc";

declare global {
  // Where rtc-node keeps the one client through which all its events come.
  var _ffiClientInstance: EventEmitter | undefined;
}

const window = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  routes: {
    "/look": async () => Response.json(await look()),
    "/classes": () => Response.json(classes()),
  },
});
console.log(JSON.stringify({ msg: "inside", url: window.url.origin }));
await import("../../src/main.ts");

async function look() {
  for (let i = 0; i < 3; i++) {
    Bun.gc(true);
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  return {
    rss,
    heapUsed,
    external,
    fds: readdirSync("/proc/self/fd").length,
    threads: readdirSync("/proc/self/task").length,
    threadNames: names(),
    ffiListeners: globalThis._ffiClientInstance?.listenerCount("ffi_event") ?? 0,
    processListeners: process.eventNames().reduce((n, name) => n + process.listenerCount(name), 0),
    resources: process.getActiveResourcesInfo(),
    stats: heapStats().objectTypeCounts,
  };
}
function classes() {
  const { nodes, nodeClassNames } = Bun.generateHeapSnapshot() as unknown as { nodes: number[]; nodeClassNames: string[] };
  const counts: Record<string, number> = {};
  for (let i = 0; i < nodes.length; i += 4) {
    const name = nodeClassNames[nodes[i + 2]];
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

function names() {
  const counts: Record<string, number> = {};
  for (const t of readdirSync("/proc/self/task")) {
    try { const n = require("fs").readFileSync(`/proc/self/task/${t}/comm`, "utf8").trim(); counts[n] = (counts[n] ?? 0) + 1; } catch {}
  }
  return counts;
}
