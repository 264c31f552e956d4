// `npm run bench`: how fast and how large Parley is, as tables. Nothing here passes or fails: the
// figures depend on the machine, so compare those of one run.
import "./quiet.ts";
import { provide } from "../scripts/prepare.ts";
import { measureConversation, type ProviderDelays } from "./conversation.ts";
import { measureEngine } from "./engine.ts";
import { measureExecutable } from "./executable.ts";
import { measureHistory } from "./history.ts";
import { MODEL_HEAD, measureLanguageModels, modelRow } from "./models.ts";
import { measureOffline } from "./offline.ts";
import { readArguments } from "./read-arguments.ts";
import { measureStartUp } from "./start-up.ts";
import { percentile, summary, table } from "./statistics.ts";

const { section, turns: TURNS, ids, isLong } = readArguments(process.argv.slice(2));
const INSTANT: ProviderDelays = { stt: 0, llm: 0, tts: 0 };
const CLOUD: ProviderDelays = { stt: 300, llm: 300, tts: 200 };
const HEAD = ["measured", "median", "p95", "samples"];

if (section === "models") {
  await printModels();
  process.exit(0);
}

console.log("## A long history\n");
const history = await measureHistory(40);
console.log(
  table(
    HEAD,
    history.rows.map(([name, samples]) => summary(name, samples, "ms", 1)),
  ),
);
const { sizeMiB, seedSeconds, removed, longestStall } = history;
console.log(
  `\n${Math.round(sizeMiB)} MiB, written in ${Math.round(seedSeconds)} s. Meanwhile ten conversations were stored and ` +
    `${removed} old interims removed; the event loop was not free for ${longestStall.toFixed(1)} ms at most.`,
);
if (section === "history") process.exit(0);

await provide({ dev: false, liveKit: true });

console.log("\n## Start\n");
const startUp = await measureStartUp(15);
const cases = [
  { name: "instant providers, one request an utterance", realtime: false, delays: INSTANT },
  { name: "instant providers, realtime transcription", realtime: true, delays: INSTANT },
  { name: "300/300/200 ms, one request an utterance", realtime: false, delays: CLOUD },
  { name: "300/300/200 ms, realtime transcription", realtime: true, delays: CLOUD },
];
const results = [];
for (const { name, ...options } of cases) {
  results.push({ name, ...(await measureConversation({ ...options, turns: TURNS })) });
}
const sessionStart = results.flatMap((result) => result.sessionStart);
console.log(
  table(HEAD, [
    summary("process start to /health", startUp, "ms"),
    summary("POST /session to the agent in the room", sessionStart, "ms"),
  ]),
);
console.log("\n## Voice to voice: end of the caller's speech to the agent's first audio\n");
console.log(
  table(
    [...HEAD, "the provider's share (median)"],
    results.map(({ name, voiceToVoice, provider }) => [
      ...summary(name, voiceToVoice, "ms"),
      `${Math.round(percentile(provider, 0.5))} ms`,
    ]),
  ),
);
console.log("\n## Memory (resident, without livekit-server)\n");
const idle = results.map((result) => result.idleMiB);
const talking = results.map((result) => result.talkingMiB);
console.log(
  table(HEAD, [
    summary("ready, nobody talks", idle, "MiB"),
    summary("after a conversation's turns", talking, "MiB"),
    summary(
      "the conversation's share",
      talking.map((value, i) => value - (idle[i] ?? 0)),
      "MiB",
    ),
  ]),
);

console.log("\n## The engine, with the small models of the tests\n");
const engine = await measureEngine(5);
console.log(
  table(HEAD, [
    summary("start until it answers", engine.answers, "ms"),
    summary("start until all models are loaded", engine.ready, "ms"),
    summary("resident without a model", [engine.idleMiB], "MiB"),
    summary("resident with all models", [engine.loadedMiB], "MiB"),
    summary("resident after the work below", [engine.afterWorkMiB], "MiB"),
    summary("first token of a prompt of 1,900 tokens", [engine.longPromptMs], "ms"),
    summary("the same beside an answer", [engine.besideMs], "ms"),
    summary("for which that answer stood still", [engine.longestGapMs], "ms"),
  ]),
);
for (const { clients, ...measured } of engine.figures) {
  const percent = (factors: number[]) => factors.map((factor) => factor * 100);
  console.log(
    `\n${table(
      [`${clients} at once`, ...HEAD.slice(1)],
      [
        summary("recognition, of the length of the audio", percent(measured.sttFactor), "%"),
        summary("speech, of the length of the audio", percent(measured.ttsFactor), "%"),
        summary("first sound", measured.firstSound, "ms"),
        summary("first token", measured.firstToken, "ms"),
        summary("tokens a second, each", measured.tokensPerSecond, "/s"),
      ],
    )}`,
  );
}

console.log("\n## Voice to voice without any other server, with the small models of the tests\n");
console.log(
  table(
    [...HEAD, "Parley's process"],
    (await measureOffline(4)).map(({ conversations, voiceToVoice, parleyMiB }) => [
      ...summary(`conversations at once: ${conversations}`, voiceToVoice, "ms"),
      `${Math.round(parleyMiB)} MiB`,
    ]),
  ),
);

await printModels();

for (const name of ["parley", "parley-slim", "parley-offline"] as const) {
  const figures = await measureExecutable(name, 7);
  console.log(`\n## The executable ${name}\n`);
  if (!figures) {
    console.log("Not built: npm run build");
    continue;
  }
  const { parts, ...measured } = figures;
  const total = parts.reduce((sum, [, , packed]) => sum + packed, 0);
  const size = (mib: number) => `${mib.toFixed(1)} MiB`;
  console.log(
    table(
      ["part", "as it is", "in the executable"],
      [
        ...parts.map(([part, whole, packed]) => [part, size(whole), size(packed)]),
        ["all", "", size(total)],
      ],
    ),
  );
  const rows = [
    summary("start to /health, warm", measured.warm, "ms"),
    summary("start to /health, cold (nothing unpacked)", measured.cold, "ms"),
    summary("start to ready for conversations, cold", measured.coldReady, "ms"),
    summary("longest answer of /health meanwhile", measured.longestBlock, "ms"),
    summary("resident at rest, before anybody came", measured.restingMiB, "MiB"),
    summary("resident with the agent stack loaded", measured.loadedMiB, "MiB"),
  ];
  console.log(
    `\n${table(
      HEAD,
      rows.filter(([, , , samples]) => samples !== "0"),
    )}`,
  );
}
process.exit(0);

async function printModels(): Promise<void> {
  console.log("\n## Language models of random weights, in the shapes of the catalogue's\n");
  const rows: string[][] = [];
  for await (const figures of measureLanguageModels({ ids, conversation: isLong })) {
    rows.push(modelRow(figures));
    // Each takes minutes; who stops the run has those that were done.
    console.error(`${figures.id}: done`);
  }
  console.log(table(MODEL_HEAD, rows));
}
