// `npm run test:soak`: holds conversations of one spoken turn and prints what the process of Parley
// holds meanwhile. `npm run test:soak -- 1000` holds 1,000 of them (200 by default), `--at-once 3`
// says how many run at the same time. With `--stay` the person is still in the room when the
// session ends; otherwise they leave first, as the page does.
import { parseArgs } from "node:util";
import { provide } from "../../scripts/prepare.ts";
import { provideSystemParts } from "../../scripts/system-parts.ts";
import type { Holdings } from "../lifecycle/inspected-parley.ts";

/** How often the process is looked at, each time after all conversations have ended. */
const LOOKS = 20;
const KIB = 1024;
/** Growth a conversation in the second half that fails the run, KiB of anonymous memory. */
const MOST_GROWTH_KIB = 100;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    "at-once": { type: "string", default: "3" },
    stay: { type: "boolean", default: false },
  },
});
const conversations = Number(positionals[0] ?? 200);
const missing = await provideSystemParts();
if (missing.length > 0) throw new Error(missing.join("\n"));
await provide({ dev: false, liveKit: true });
// LiveKit's library reads this when it is loaded, and would print all that it does.
Bun.env.NODE_ENV = "production";
const { Soak } = await import("./soak.ts");

await using soak = await Soak.start(values.stay ? "last" : "first");
const looks: (Holdings & { conversations: number })[] = [];
console.log("| sessions | RSS, MiB | anonymous, MiB | JS heap, MiB | threads | descriptors |");
console.log("|---|---|---|---|---|---|");
for (let number = 1; number <= LOOKS; number++) {
  const until = Math.round((conversations * number) / LOOKS);
  await soak.hold(until - soak.begun, Number(values["at-once"]));
  const { rss, anonymous, heapUsed, threads, descriptors, ...rest } = await soak.look();
  looks.push({ rss, anonymous, heapUsed, threads, descriptors, ...rest, conversations: until });
  const memory = [rss, anonymous, heapUsed].map((bytes) => (bytes / KIB / KIB).toFixed(0));
  console.log(`| ${[until, ...memory, threads, descriptors].join(" | ")} |`);
}
const [middle, end] = [looks[LOOKS / 2 - 1], looks.at(-1)];
if (!middle || !end) throw new Error("nothing was measured");
const growth =
  (end.anonymous - middle.anonymous) / KIB / (end.conversations - middle.conversations);
console.log(`\n${growth.toFixed(0)} KiB a session in the second half`);
const failures = [...soak.failures];
if (growth > MOST_GROWTH_KIB) failures.push(`that is more than ${MOST_GROWTH_KIB} KiB`);
for (const failure of failures) console.log(`✗ ${failure}`);
process.exitCode = failures.length > 0 ? 1 : 0;
