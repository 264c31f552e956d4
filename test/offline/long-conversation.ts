import { testModels } from "../../scripts/test-models.ts";
import { event, storedTranscript } from "../e2e/environment.ts";
import { PageUser } from "../e2e/page-user.ts";
import { modelVariables } from "../engine.ts";
import { type Listener, SOURCE, startParley } from "../parley.ts";

export interface LongConversation {
  /** From a typed message to the first words of its answer, in ms. */
  answerMs: number[];
  /** Turns and answers that the transcript holds. */
  turns: number;
  answers: number;
  /** Words that were typed; each is at least one token. */
  typedWords: number;
  endReason: string | null;
  complaints: string[];
}

/** So many words of an answer are heard before the person goes on. */
const WORDS_HEARD = 4;
const SPOKEN = "What is the capital of France?";

/**
 * Holds one conversation through the page with the small real models, in which the person goes on
 * after the first words of an answer. @throws Error when a turn is not answered
 *
 * @param options.contextTokens what the language model sees at most
 * @param options.wordsPerTurn of a typed turn
 * @param options.spokenEvery the turns that are spoken; all others are typed
 */
export async function holdLongConversation(options: {
  turns: number;
  contextTokens: number;
  wordsPerTurn: number;
  spokenEvery: number;
  onTurn?: (turn: number, ms: number) => void;
}): Promise<LongConversation> {
  await using parley = await startParley({
    command: SOURCE,
    env: {
      ...modelVariables(await testModels()),
      ENGINE_CONTEXT: String(options.contextTokens),
      SYSTEM_PROMPT: "Answer in one short sentence.",
    },
  });
  await using user = await PageUser.at(parley.url);
  const id = await user.start();
  await using listener = await parley.listen(id);
  const answerMs: number[] = [];
  let typedWords = 0;
  for (let turn = 1; turn <= options.turns; turn++) {
    const begun = performance.now();
    const answers = answersIn(listener);
    if (turn % options.spokenEvery === 0) await speak(user, listener);
    else typedWords += await type(user, messageOf(turn, options.wordsPerTurn));
    await event(listener, `an answer to turn ${turn}`, () => answersIn(listener) > answers);
    answerMs.push(performance.now() - begun);
    options.onTurn?.(turn, performance.now() - begun);
  }
  await user.agentIs("listening");
  await user.stop();
  const { segments, end_reason } = await storedTranscript(parley, id);
  const said = (who: string) =>
    segments.filter(({ role, text }) => role === who && text.trim() !== "").length;
  return {
    answerMs,
    typedWords,
    turns: said("user"),
    answers: said("agent"),
    endReason: end_reason,
    complaints: user.session.complaints,
  };
}

/** How many answers were heard, by how often the agent spoke and said some words. */
function answersIn({ events }: Listener): number {
  let answers = 0;
  let isCounted = true;
  for (const { type, data } of events) {
    if (type === "agent_state" && data.state === "speaking") isCounted = false;
    if (isCounted || type !== "transcript" || data.role !== "agent") continue;
    if (!data.final && data.text.split(/\s+/).length < WORDS_HEARD) continue;
    isCounted = true;
    answers += 1;
  }
  return answers;
}

async function speak(user: PageUser, listener: Listener): Promise<void> {
  const heard = listener.finals("user").length;
  await user.say(SPOKEN);
  await event(listener, "the spoken words", () => listener.finals("user").length > heard);
}

async function type(user: PageUser, message: string): Promise<number> {
  await user.page.fill("#message", message);
  await user.page.press("#message", "Enter");
  await user.reads("user", message);
  return message.split(" ").length;
}

const WORDS =
  "we walked along the river for an hour and then it began to rain so we went home and made tea";

function messageOf(turn: number, words: number): string {
  const all = WORDS.split(" ");
  const said = Array.from({ length: words - 2 }, (_, i) => all[i % all.length]);
  return `Day ${turn} ${said.join(" ")}`;
}
