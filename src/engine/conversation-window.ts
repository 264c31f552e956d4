import type { ChatHistoryItem } from "node-llama-cpp";
import { refusal } from "./openai-http.ts";

/** How the tokens of a conversation are counted. */
export interface TokenCounts {
  /** Of one item; an estimate is enough. */
  ofItem(item: ChatHistoryItem): number;
  /** Of the whole prompt for these items, exactly. */
  ofPrompt(items: readonly ChatHistoryItem[]): number;
}

/** The tokens that an answer gets, unless the request limits it to fewer. */
const ANSWER_TOKENS = 1024;

/** The room for an answer in a context of so many tokens. */
function answerRoom(contextTokens: number, maxTokens?: number): number {
  return Math.min(ANSWER_TOKENS, Math.floor(contextTokens / 4), maxTokens ?? ANSWER_TOKENS);
}

/**
 * The part of a conversation that the model sees: the instructions and the newest whole turns.
 *
 * What falls out is decided by the turns before the last one, in steps of up to a quarter of the context.
 * So consecutive turns of a conversation see the same beginning, which is in the KV cache, and what
 * falls out at the next turn is known before that turn comes.
 *
 * @param maxTokens the longest answer that the request allows
 * @throws Failure `context_length_exceeded` if the instructions and the last turn do not fit
 */
export function windowOf(
  history: readonly ChatHistoryItem[],
  counts: TokenCounts,
  contextTokens: number,
  maxTokens?: number,
): ChatHistoryItem[] {
  const starts = turnStarts(history);
  const limit = contextTokens - answerRoom(contextTokens, maxTokens);
  let turn = firstTurn(history, starts, counts, contextTokens);
  for (;;) {
    const start = starts[turn] ?? 0;
    const kept = history.filter((item, at) => item.type === "system" || at >= start);
    const tokens = counts.ofPrompt(kept);
    if (tokens <= limit) return kept;
    if (turn >= starts.length - 1) throw tooLong(contextTokens, tokens, contextTokens - limit);
    turn += 1;
  }
}

/** The first turn that stays if the last one is of ordinary length. */
function firstTurn(
  history: readonly ChatHistoryItem[],
  starts: readonly number[],
  counts: TokenCounts,
  contextTokens: number,
): number {
  const sum = (items: readonly ChatHistoryItem[]) =>
    items.reduce((total, item) => total + counts.ofItem(item), 0);
  const usualTurn = Math.floor(contextTokens / 8);
  const instructions = history.filter(({ type }) => type === "system");
  const room = contextTokens - answerRoom(contextTokens) - usualTurn - sum(instructions);
  const sizes = starts
    .slice(0, -1)
    .map((start, turn) =>
      sum(history.slice(start, starts[turn + 1]).filter(({ type }) => type !== "system")),
    );
  let excess = sizes.reduce((total, size) => total + size, 0) - room;
  if (excess <= 0) return 0;
  const step = Math.max(1, Math.min(Math.floor(contextTokens / 4), Math.floor(room / 2)));
  excess = Math.ceil(excess / step) * step;
  let turn = 0;
  while (turn < sizes.length && excess > 0) {
    excess -= sizes[turn] ?? 0;
    turn += 1;
  }
  return turn;
}

/** Where turns begin: a turn is what the person said, and the answer with its calls of tools. */
function turnStarts(history: readonly ChatHistoryItem[]): number[] {
  const first = history.findIndex(({ type }) => type !== "system");
  return history.flatMap(({ type }, at) => (type === "user" || at === first ? [at] : []));
}

function tooLong(contextTokens: number, tokens: number, room: number) {
  return refusal(
    "invalid",
    `This model's maximum context length is ${contextTokens} tokens, ${room} of them for the ` +
      `answer. The instructions and the last message have ${tokens} tokens. Shorten them.`,
    { code: "context_length_exceeded", param: "messages" },
  );
}
