import type { ChatHistoryItem, ChatModelFunctionCall, ChatModelFunctions } from "node-llama-cpp";
import { z } from "zod";
import type { AnswerRequest } from "./language-model.ts";

const textPart = z.object({ type: z.enum(["text", "input_text"]), text: z.string() });
const content = z.union([z.string(), z.array(textPart)], {
  error: "must be text, or a list of parts of type text: this engine reads nothing else",
});

const chatMessage = z.discriminatedUnion("role", [
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

const tool = z.object({
  type: z.literal("function"),
  function: z.object({
    name: z.string().regex(/^[\w-]{1,64}$/, "must be 1 to 64 letters, digits, _ or -"),
    description: z.string().optional(),
    parameters: z.record(z.string(), z.unknown()).optional(),
  }),
});

const tokens = z.int().min(1).max(100_000).nullish();

/**
 * The body of `POST /v1/chat/completions`
 * (https://platform.openai.com/docs/api-reference/chat/create). Other fields have no effect.
 */
export const chatRequest = z.object({
  model: z.string(),
  messages: z.array(chatMessage).min(1),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().optional() }).nullish(),
  max_tokens: tokens,
  max_completion_tokens: tokens,
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  seed: z.int().nullish(),
  stop: z.union([z.string(), z.array(z.string()).max(4)]).nullish(),
  n: z.literal(1, { error: "must be 1: this engine gives one answer" }).nullish(),
  tools: z.array(tool).max(128).nullish(),
  tool_choice: z
    .union([
      z.enum(["none", "auto", "required"]),
      z.object({ type: z.literal("function"), function: z.object({ name: z.string() }) }),
    ])
    .nullish(),
  response_format: z
    .discriminatedUnion("type", [
      z.object({ type: z.literal("text") }),
      z.object({ type: z.literal("json_object") }),
      z.object({
        type: z.literal("json_schema"),
        json_schema: z.object({ schema: z.record(z.string(), z.unknown()) }),
      }),
    ])
    .nullish(),
  user: z.string().max(256).nullish(),
});

type ChatRequest = z.infer<typeof chatRequest>;

/** OpenAI's default of 1 makes small models incoherent. */
const DEFAULT_TEMPERATURE = 0.7;

/** What the language model is asked for by a request's body. */
export function answerRequest(
  body: ChatRequest,
): Omit<AnswerRequest, "client" | "signal" | "onText"> {
  return {
    history: chatHistory(body.messages),
    functions: functionsOf(body),
    schema: schemaOf(body),
    maxTokens: body.max_completion_tokens ?? body.max_tokens ?? undefined,
    temperature: body.temperature ?? DEFAULT_TEMPERATURE,
    topP: body.top_p ?? undefined,
    seed: body.seed ?? undefined,
    stop: typeof body.stop === "string" ? [body.stop] : (body.stop ?? []),
    frequencyPenalty: body.frequency_penalty ?? undefined,
    presencePenalty: body.presence_penalty ?? undefined,
  };
}

function schemaOf({ response_format: format }: ChatRequest): AnswerRequest["schema"] {
  if (format?.type === "json_schema") return format.json_schema.schema;
  return format?.type === "json_object" ? "json" : undefined;
}

/** The choice of one function hides the others, but does not force the model to call it. */
function functionsOf({ tools, tool_choice: choice }: ChatRequest): ChatModelFunctions | undefined {
  if (!tools || choice === "none") return undefined;
  const chosen = typeof choice === "object" ? choice?.function.name : undefined;
  const entries = tools
    .filter((one) => chosen === undefined || one.function.name === chosen)
    .map(({ function: { name, description, parameters } }) => [
      name,
      { description, params: parameters },
    ]);
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

type Call = ChatModelFunctionCall & { id?: string };

/**
 * OpenAI's messages as node-llama-cpp's chat history. Consecutive messages of one role become one
 * item, and a tool's result is stored with its call.
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

function addResult(history: readonly ChatHistoryItem[], id: string, result: string): void {
  const call = history.flatMap(callsOf).find((one) => one.id === id);
  if (call) call.result = jsonOrText(result);
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
