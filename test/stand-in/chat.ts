import { answer, jsonObject, refuse, type StandInContext } from "./answer.ts";
import type { ChatMessage, LoggedRequest } from "./log.ts";

const STORY =
  "Once upon a time a small boat left the harbour before sunrise. " +
  "Its captain was looking for an island that no map had ever shown. " +
  "For seven days the wind was kind, and the stars told her where to go. " +
  "On the eighth day a grey whale swam beside the boat and sang. " +
  "The captain followed the song through the fog until she heard the surf. " +
  "There the island lay, green and quiet, and she called it home.";

/**
 * The default reply: simple rules that show whether the client keeps the conversation. "my name is
 * X" is remembered through `messages` only, so "what is my name" needs the earlier message;
 * "story" gives six sentences, long enough to interrupt; anything else is said back.
 */
export function defaultReply(messages: readonly ChatMessage[]): string {
  const said = messages.filter(({ role }) => role === "user").map(({ content }) => content);
  const last = said.at(-1) ?? "";
  if (last === "") return "Hello, how can I help you?";
  if (/what(?: is|'s) my name/i.test(last)) {
    const names = said.flatMap((text) => /my name is (\p{L}+)/iu.exec(text)?.[1] ?? []);
    const name = names.at(-1);
    return name === undefined ? "You have not told me your name." : `Your name is ${name}.`;
  }
  const name = /my name is (\p{L}+)/iu.exec(last)?.[1];
  if (name !== undefined) return `Nice to meet you, ${name}.`;
  if (/\bstory\b/i.test(last)) return STORY;
  return `You said: ${last}`;
}

/**
 * `POST /v1/chat/completions`: the reply as one JSON answer, or streamed word by word as
 * server-sent events, with usage as `stream_options.include_usage` asks. Malformed bodies: 400.
 */
export async function completions(
  context: StandInContext,
  entry: LoggedRequest,
  request: Request,
): Promise<Response> {
  const body = await jsonObject(request);
  const messages = messagesOf(body?.["messages"]);
  if (body === undefined || messages === undefined) {
    return refuse(context, entry, 400, "expected a JSON object with a list of `messages`");
  }
  const model = String(body["model"] ?? "");
  const streaming = body["stream"] === true;
  const text = context.reply(messages);
  context.log.note(entry, { model, messages, text, streaming });
  const head = {
    id: `chatcmpl-${entry.id}`,
    created: Math.floor(entry.at / 1000),
    model,
  };
  const usage = usageOf(messages, text);
  if (!streaming) {
    const message = { role: "assistant", content: text, refusal: null };
    const choices = [{ index: 0, message, logprobs: null, finish_reason: "stop" }];
    const whole = { ...head, object: "chat.completion", choices, usage };
    return answer(context, "llm", entry, request, {
      type: "application/json",
      parts: [JSON.stringify(whole)],
    });
  }
  const parts = events({ ...head, object: "chat.completion.chunk" }, text);
  if (includesUsage(body["stream_options"])) {
    parts.push(event({ ...head, object: "chat.completion.chunk", choices: [], usage }));
  }
  parts.push("data: [DONE]\n\n");
  return answer(context, "llm", entry, request, {
    type: "text/event-stream; charset=utf-8",
    parts: [`${parts[0] ?? ""}${parts[1] ?? ""}`, ...parts.slice(2)],
  });
}

/** Words; of the scripts that write no spaces between them, two characters. */
const WORDS =
  /\s*(?:[\u0E00-\u0E7F\u3001-\u30FF\u4E00-\u9FFF]{1,2}|[^\s\u0E00-\u0E7F\u3001-\u30FF\u4E00-\u9FFF]+)/g;

function events(head: Record<string, unknown>, text: string): string[] {
  const chunk = (delta: Record<string, string>, finish: string | null) =>
    event({ ...head, choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }] });
  const words = text.match(WORDS) ?? [];
  return [
    chunk({ role: "assistant", content: "" }, null),
    ...words.map((word) => chunk({ content: word }, null)),
    chunk({}, "stop"),
  ];
}

function event(data: unknown): string {
  return `data: ${JSON.stringify(data)}\n\n`;
}

function includesUsage(options: unknown): boolean {
  return (
    typeof options === "object" &&
    options !== null &&
    "include_usage" in options &&
    options.include_usage === true
  );
}

/** Counts words in place of tokens. */
function usageOf(messages: readonly ChatMessage[], text: string) {
  const count = (words: string) => words.split(/\s+/).filter(Boolean).length;
  const prompt = messages.reduce((sum, { content }) => sum + count(content), 0);
  const completion = count(text);
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: 0 },
  };
}

function messagesOf(value: unknown): ChatMessage[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const messages: ChatMessage[] = [];
  for (const message of value as unknown[]) {
    if (typeof message !== "object" || message === null || !("role" in message)) return undefined;
    const content = "content" in message ? textOf(message.content) : "";
    messages.push({ role: String(message.role), content });
  }
  return messages;
}

function textOf(content: unknown): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  const texts = (content as unknown[]).map((part) =>
    typeof part === "object" && part !== null && "text" in part ? String(part.text) : "",
  );
  return texts.filter(Boolean).join("\n");
}
