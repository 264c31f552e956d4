import type { llm } from "@livekit/agents";

export interface ChatMessage {
  role: "system" | "user" | "assistant";
  content: string;
}

/** A conversation as language models take it: the roles alternate and the person speaks last. */
export interface Conversation {
  /** Empty: there are no instructions. */
  system: string;
  turns: readonly { role: "user" | "assistant"; content: string }[];
  /** The person's last message, where the last turn has several: earlier ones had no answer. */
  newest?: string | undefined;
}

/** The name of the field in a message that holds thoughts which were shown before they were known. */
export const RETRACTED = "retracted";

/** What stands for the person's turn where a conversation ends with the agent's. */
const GO_ON = "Please go on.";

/**
 * The conversation in a history of the agents library. What two turns of one role said is joined by
 * line breaks, because many chat templates refuse anything but alternation. What the agent said
 * before the person first spoke, its greeting, is quoted in the instructions for the same reason.
 */
export function conversationOf(history: llm.ChatContext): Conversation {
  const system: string[] = [];
  const turns: { role: "user" | "assistant"; content: string }[] = [];
  let newest: string | undefined;
  for (const item of history.items) {
    if (item.type !== "message") continue;
    const content = spokenText(item).trim();
    if (content === "") continue;
    const last = turns.at(-1);
    if (item.role === "system" || item.role === "developer") {
      system.push(content);
      continue;
    }
    newest = last?.role === item.role && item.role === "user" ? content : undefined;
    if (last?.role === item.role) last.content += `\n${content}`;
    else turns.push({ role: item.role, content });
  }
  if (turns[0]?.role === "assistant") {
    system.push(`You began the conversation with these words: ${turns[0].content}`);
    turns.shift();
  }
  if (turns.at(-1)?.role !== "user") turns.push({ role: "user", content: GO_ON });
  return { system: system.join("\n\n"), turns, ...(newest !== undefined && { newest }) };
}

/**
 * The conversation without messages that were joined to the person's last one; undefined if there
 * are none. A message that is too long for the model does not make the next one too long with it.
 */
export function withoutUnanswered({
  system,
  turns,
  newest,
}: Conversation): Conversation | undefined {
  if (newest === undefined) return undefined;
  return { system, turns: [...turns.slice(0, -1), { role: "user", content: newest }] };
}

/** The text of a message without thoughts that were taken for its beginning. */
export function spokenText(message: llm.ChatMessage): string {
  const text = message.textContent ?? "";
  const retracted = message.extra[RETRACTED];
  if (typeof retracted !== "string") return text;
  // The text of an answer that was interrupted may end inside the thoughts.
  if (retracted.startsWith(text.trim())) return "";
  return text.startsWith(retracted) ? text.slice(retracted.length).trimStart() : text;
}

/** Tokens of an answer that a trimmed conversation leaves room for, at most. */
const ANSWER_TOKENS = 512;

/**
 * The newest whole turns that fit into so many tokens, with the instructions. The last words of the
 * person are always there.
 *
 * @param budget undefined: everything
 */
export function trimmed(conversation: Conversation, budget: number | undefined): Conversation {
  if (budget === undefined) return conversation;
  const { system, turns } = conversation;
  const room = budget - Math.min(ANSWER_TOKENS, budget / 4) - tokensIn(system);
  let kept = turns.length - 1;
  let used = tokensIn(turns[kept]?.content ?? "");
  for (let at = kept - 2; at >= 0; at -= 2) {
    used += tokensIn(turns[at]?.content ?? "") + tokensIn(turns[at + 1]?.content ?? "");
    if (used > room) break;
    kept = at;
  }
  return { ...conversation, turns: turns.slice(kept) };
}

/** The messages of a conversation. @param withSystem whether the model takes instructions */
export function messagesOf({ system, turns }: Conversation, withSystem: boolean): ChatMessage[] {
  const [first, ...rest] = turns;
  if (system === "" || !first) return [...turns];
  if (withSystem) return [{ role: "system", content: system }, ...turns];
  return [{ ...first, content: `${system}\n\n${first.content}` }, ...rest];
}

/**
 * An estimate of a text's tokens that is rather too high: 3.5 characters of Latin script each, and
 * one of any other script.
 */
function tokensIn(text: string): number {
  const others = text.match(/[^\p{ASCII}\p{Script=Latin}]/gu)?.length ?? 0;
  return Math.ceil((text.length - others) / 3.5 + others) + 4;
}

/** An estimate of the tokens of a conversation. */
export function tokensOf({ system, turns }: Conversation): number {
  return tokensIn(system) + turns.reduce((sum, { content }) => sum + tokensIn(content), 0);
}
