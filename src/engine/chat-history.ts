import type { ChatHistoryItem, ChatModelFunctionCall } from "node-llama-cpp";
import { z } from "zod";
import { refusal } from "./openai-http.ts";

const textPart = z.object({ type: z.enum(["text", "input_text"]), text: z.string() });
const content = z.union([z.string(), z.array(textPart)], {
  error: "must be text, or a list of parts of type text: this engine reads nothing else",
});

/** A message of a chat. */
export const chatMessage = z.discriminatedUnion("role", [
  z.object({ role: z.enum(["system", "developer"]), content }),
  z.object({ role: z.literal("user"), content }),
  z.object({
    role: z.literal("assistant"),
    content: content.nullish(),
    tool_calls: z
      .array(
        z.object({
          id: z.string(),
          function: z.object({ name: z.string(), arguments: z.string() }),
        }),
      )
      .nullish(),
  }),
  z.object({ role: z.literal("tool"), tool_call_id: z.string(), content }),
]);
type Message = z.infer<typeof chatMessage>;

type Call = ChatModelFunctionCall & { id?: string };

/**
 * OpenAI's messages as node-llama-cpp's chat history. Consecutive messages of one role become one
 * item, and a tool's result is stored with its call.
 *
 * @throws Failure `invalid` for a result without a call
 */
export function chatHistory(messages: readonly Message[]): ChatHistoryItem[] {
  const history: ChatHistoryItem[] = [];
  for (const message of messages) {
    switch (message.role) {
      case "system":
      case "developer":
        history.push({ type: "system", text: textOf(message.content) });
        break;
      case "user":
        addUserMessage(history, textOf(message.content));
        break;
      case "assistant":
        addAssistantMessage(history, message);
        break;
      case "tool":
        addResult(history, message.tool_call_id, textOf(message.content));
    }
  }
  // The ids served to find the calls; node-llama-cpp has no such field.
  for (const call of history.flatMap(callsOf)) delete call.id;
  return history;
}

function addUserMessage(history: ChatHistoryItem[], text: string): void {
  const newest = history.at(-1);
  if (newest?.type === "user") newest.text = `${newest.text}\n${text}`;
  else history.push({ type: "user", text });
}

function addAssistantMessage(
  history: ChatHistoryItem[],
  message: Extract<Message, { role: "assistant" }>,
): void {
  const text = textOf(message.content ?? "");
  const calls = (message.tool_calls ?? []).map(
    ({ id, function: { name, arguments: params } }): Call => ({
      type: "functionCall",
      id,
      name,
      params: jsonOrText(params),
      result: undefined,
    }),
  );
  const response = [...(text === "" ? [] : [text]), ...calls];
  const newest = history.at(-1);
  if (newest?.type === "model") newest.response.push(...response);
  else history.push({ type: "model", response });
}

/** Stores a result with the newest call of its id that has none: many clients number each turn anew. */
function addResult(history: readonly ChatHistoryItem[], id: string, result: string): void {
  const calls = history.flatMap(callsOf);
  const call = calls.findLast((one) => one.id === id && one.result === undefined);
  if (!call) {
    const message = `messages: there is no tool call ${JSON.stringify(id)} that waits for a result.`;
    throw refusal("invalid", message, { param: "messages" });
  }
  call.result = jsonOrText(result);
}

function callsOf(item: ChatHistoryItem): Call[] {
  if (item.type !== "model") return [];
  return item.response.filter(
    (part): part is Call => typeof part === "object" && part.type === "functionCall",
  );
}

function jsonOrText(text: string): unknown {
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
