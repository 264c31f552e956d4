// `npm run test:soak`: holds conversations of one spoken turn and prints what the process of Parley
// holds meanwhile. `npm run test:soak -- 1000` holds 1,000 of them (200 by default), `--at-once 3`
// says how many run at the same time. With `--stay` the person is still in the room when the
// session ends; otherwise they leave first, as the page does.
import { parseArgs } from "node:util";
import { provide } from "../../scripts/prepare.ts";
import { provideSystemParts } from "../../scripts/system-parts.ts";

/** How often the process is looked at, each time after all conversations have ended. */
const LOOKS = 20;
const KIB = 1024;
/**
 * Growth a session in the second half that fails the run, KiB of anonymous memory. A room that is
 * kept takes 400; where none is, the medians of two quarters of 100 sessions differ by 10 to 50.
 */
const MOST_GROWTH_KIB = 100;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    "at-once": { type: "string", default: "3" },
    stay: { type: "boolean", default: false },
  },
});
const sessions = Number(positionals[0] ?? 200);
const missing = await provideSystemParts();
if (missing.length > 0) throw new Error(missing.join("\n"));
await provide({ dev: false, liveKit: true });
// LiveKit's library reads this when it is loaded, and would print all that it does.
Bun.env.NODE_ENV = "production";
const { Soak } = await import("./soak.ts");

await using soak = await Soak.start(values.stay ? "last" : "first");
const anonymousKib: number[] = [];
console.log("| sessions | RSS, MiB | anonymous, MiB | JS heap, MiB | threads | descriptors |");
console.log("|---|---|---|---|---|---|");
for (let number = 1; number <= LOOKS; number++) {
  const until = Math.round((sessions * number) / LOOKS);
  await soak.hold(until - soak.begun, Number(values["at-once"]));
  const { rss, anonymous, heapUsed, threads, descriptors } = await soak.look();
  anonymousKib.push(anonymous / KIB);
  const memory = [rss, anonymous, heapUsed].map((bytes) => (bytes / KIB / KIB).toFixed(0));
  console.log(`| ${[until, ...memory, threads, descriptors].join(" | ")} |`);
}
// Medians, since one look may find memory that is about to be given back.
const [third = 0, last = 0] = [anonymousKib.slice(-10, -5), anonymousKib.slice(-5)].map(
  (quarter) => quarter.toSorted((a, b) => a - b)[2],
);
const growth = (last - third) / (sessions / 4);
console.log(`\n${growth.toFixed(0)} KiB a session in the second half`);
const failures = [...soak.failures];
if (growth > MOST_GROWTH_KIB) failures.push(`that is more than ${MOST_GROWTH_KIB} KiB`);
for (const failure of failures) console.log(`✗ ${failure}`);
process.exitCode = failures.length > 0 ? 1 : 0;
