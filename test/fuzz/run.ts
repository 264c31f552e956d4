// `npm run test:fuzz`: 100,000 requests and WebSocket frames. `npm run test:fuzz -- SEED` repeats a run.
import { fuzz } from "./fuzz.ts";

const seed = Number(process.argv[2] ?? Date.now() % 2 ** 31);
console.log(`seed ${seed}`);
const report = await fuzz({ seed, requests: 40_000, conversations: 5000 });
const { requests, frames, routes, statuses, memory, descriptors } = report;
console.log(`${requests} requests to ${routes} routes and ${frames} frames`, statuses);
console.log(`memory ${memory.join(" → ")} MiB, descriptors ${descriptors.join(" → ")}`);
process.exit(0);
