// `npm run test:offline`: one conversation of 60 turns through the page, typed and spoken, with the
// small real models and a context that is outgrown at least three times. Every turn must be answered.
import { provide } from "../../scripts/prepare.ts";
import { provideSystemParts } from "../../scripts/system-parts.ts";

const TURNS = 60;
const CONTEXT_TOKENS = 1024;
const WORDS_PER_TURN = 80;
const SPOKEN_EVERY = 15;
/** What is typed fills the context so often, so that it is shifted one time less at least. */
const CONTEXTS = 4;

const missing = await provideSystemParts();
if (missing.length > 0) throw new Error(missing.join("\n"));
await provide({ dev: false, liveKit: true });
// LiveKit's library reads this when it is loaded, and would print all that it does.
Bun.env.NODE_ENV = "production";
const { holdLongConversation } = await import("./long-conversation.ts");

const conversation = await holdLongConversation({
  turns: TURNS,
  contextTokens: CONTEXT_TOKENS,
  wordsPerTurn: WORDS_PER_TURN,
  spokenEvery: SPOKEN_EVERY,
  onTurn: (turn, ms) => console.log(`turn ${turn}: answered after ${(ms / 1000).toFixed(1)} s`),
});
const { turns, answers, typedWords, endReason, complaints } = conversation;
const failures = [...complaints];
if (typedWords < CONTEXTS * CONTEXT_TOKENS) failures.push(`only ${typedWords} words were typed`);
if (turns < TURNS || answers < TURNS)
  failures.push(`${turns} turns and ${answers} answers were kept`);
if (endReason !== "stopped") failures.push(`the conversation ended as ${endReason}`);
const sorted = conversation.answerMs.toSorted((a, b) => a - b);
const seconds = (ms = Number.NaN) => `${(ms / 1000).toFixed(1)} s`;
console.log(
  `${typedWords} words typed; answers began after ${seconds(sorted[TURNS / 2])} (median), ${seconds(sorted.at(-1))} (longest)`,
);
for (const failure of failures) console.log(`✗ ${failure}`);
process.exit(failures.length > 0 ? 1 : 0);
