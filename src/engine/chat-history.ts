import type { ChatHistoryItem, ChatModelFunctionCall } from "node-llama-cpp";
import type { z } from "zod";
import type { chatMessage } from "./chat-request.ts";

/** What somebody said in a conversation, as node-llama-cpp takes it. */
export type Turn = ChatHistoryItem;

type Message = z.infer<typeof chatMessage>;

/**
 * A conversation in OpenAI's form as node-llama-cpp's: what one party says in several messages is
 * one turn, and a tool's result stands with its call.
 */
export function chatHistory(messages: readonly Message[]): Turn[] {
  const turns: Turn[] = [];
  for (const message of messages) {
    switch (message.role) {
      case "system":
      case "developer":
        turns.push({ type: "system", text: textOf(message.content) });
        break;
      case "user":
        sayAsUser(turns, textOf(message.content));
        break;
      case "assistant":
        sayAsModel(turns, message);
        break;
      case "tool":
        giveResult(turns, message.tool_call_id, textOf(message.content));
    }
  }
  // The calls' ids were needed to find them; the library knows no such field.
  for (const call of turns.flatMap(callsOf)) delete call.id;
  return turns;
}

type Call = ChatModelFunctionCall & { id?: string };

function sayAsUser(turns: Turn[], text: string): void {
  const last = turns.at(-1);
  if (last?.type === "user") last.text = `${last.text}\n${text}`;
  else turns.push({ type: "user", text });
}

function sayAsModel(turns: Turn[], message: Extract<Message, { role: "assistant" }>): void {
  const text = textOf(message.content ?? "");
  const calls = (message.tool_calls ?? []).map(
    ({ id, function: { name, arguments: params } }): Call => ({
      type: "functionCall",
      id,
      name,
      params: jsonOr(params),
      result: undefined,
    }),
  );
  const response = [...(text === "" ? [] : [text]), ...calls];
  const last = turns.at(-1);
  if (last?.type === "model") last.response.push(...response);
  else turns.push({ type: "model", response });
}

function giveResult(turns: readonly Turn[], id: string, result: string): void {
  const call = turns.flatMap(callsOf).find((one) => one.id === id);
  if (call) call.result = jsonOr(result);
}

function callsOf(turn: Turn): Call[] {
  if (turn.type !== "model") return [];
  return turn.response.filter(
    (part): part is Call => typeof part === "object" && part.type === "functionCall",
  );
}

function jsonOr(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function textOf(content: Message["content"]): string {
  if (typeof content === "string") return content;
  return (content ?? []).map((part) => part.text).join("\n");
}
