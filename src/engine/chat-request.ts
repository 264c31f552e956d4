import type { ChatModelFunctions } from "node-llama-cpp";
import { z } from "zod";
import { answerSchema } from "./answer-schema.ts";
import { chatHistory, chatMessage } from "./chat-history.ts";
import type { AnswerRequest } from "./language-model.ts";
import { refusal } from "./openai-http.ts";

const functionName = z.string().regex(/^[\w-]{1,64}$/, "must be 1 to 64 letters, digits, _ or -");
const tool = z.object({
  type: z.literal("function"),
  function: z.object({
    name: functionName,
    description: z.string().nullish(),
    parameters: z.record(z.string(), z.unknown()).nullish(),
    strict: z.boolean().nullish(),
  }),
});
const namedTool = z.object({
  type: z.literal("function"),
  function: z.object({ name: z.string() }),
});
const toolChoice = z.union(
  [
    z.enum(["none", "auto", "required"]),
    namedTool,
    z.object({
      type: z.literal("allowed_tools"),
      allowed_tools: z.object({
        mode: z.enum(["auto", "required"]),
        tools: z.array(namedTool).min(1),
      }),
    }),
  ],
  { error: "must be none, auto, required, a function or allowed_tools" },
);

/** -1 means no limit, as in llama.cpp. */
const tokens = z.int().min(-1).max(1_000_000).nullish();
const off = (what: string) => ({ error: `must be absent or false: this engine has no ${what}` });

/**
 * The body of `POST /v1/chat/completions`
 * (https://platform.openai.com/docs/api-reference/chat/create). What would change the answer and is
 * not supported is refused. Other fields have no effect.
 */
export const chatRequest = z.object({
  model: z.string(),
  messages: z.array(chatMessage).min(1),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
  max_tokens: tokens,
  max_completion_tokens: tokens,
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  logit_bias: z.record(z.string().regex(/^\d+$/), z.number().min(-100).max(100)).nullish(),
  logprobs: z.literal(false, off("probabilities of tokens")).nullish(),
  top_logprobs: z.literal(0, off("probabilities of tokens")).nullish(),
  seed: z.int().nullish(),
  stop: z.union([z.string(), z.array(z.string()).max(4)]).nullish(),
  n: z.literal(1, { error: "must be 1: this engine gives one answer" }).nullish(),
  modalities: z.array(z.literal("text", { error: "must be text" })).nullish(),
  audio: z.null({ error: "must be absent: answers are text" }).optional(),
  functions: z.null({ error: "must be absent: use tools" }).optional(),
  function_call: z.null({ error: "must be absent: use tool_choice" }).optional(),
  tools: z.array(tool).max(128).nullish(),
  tool_choice: toolChoice.nullish(),
  parallel_tool_calls: z.boolean().nullish(),
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

/**
 * What the language model is asked for by a request's body.
 *
 * @throws Failure `invalid` that names the field that cannot be done
 */
export function answerRequest(body: ChatRequest): Omit<AnswerRequest, "client"> {
  const limit = body.max_completion_tokens ?? body.max_tokens ?? -1;
  const calls = callsOf(body);
  const schema = schemaOf(body);
  if (schema !== undefined && calls.functions !== undefined && !calls.mustCall) {
    throw refusal(
      "invalid",
      "response_format: this engine cannot leave the choice between a tool and an answer of a form. " +
        "Set tool_choice to none or required.",
      { param: "response_format" },
    );
  }
  return {
    history: chatHistory(body.messages),
    ...calls,
    schema: calls.mustCall ? undefined : schema,
    maxTokens: limit < 0 ? undefined : limit,
    temperature: body.temperature ?? DEFAULT_TEMPERATURE,
    topP: body.top_p ?? undefined,
    seed: body.seed ?? undefined,
    stop: typeof body.stop === "string" ? [body.stop] : (body.stop ?? []),
    frequencyPenalty: body.frequency_penalty ?? undefined,
    presencePenalty: body.presence_penalty ?? undefined,
    biases: Object.entries(body.logit_bias ?? {}).map(([token, bias]) => [Number(token), bias]),
  };
}

function schemaOf({ response_format: format }: ChatRequest): AnswerRequest["schema"] {
  if (format?.type === "json_schema") {
    return answerSchema(format.json_schema.schema, "response_format.json_schema.schema");
  }
  return format?.type === "json_object" ? "json" : undefined;
}

/** The functions that the model may call, and whether it has to call one. */
function callsOf({
  tools,
  tool_choice: choice,
  parallel_tool_calls: parallel,
}: ChatRequest): Pick<AnswerRequest, "functions" | "mustCall" | "maxCalls"> {
  const { names, mustCall } = choiceOf(choice ?? "auto");
  const all = tools ?? [];
  const unknown = names?.find((name) => all.every((one) => one.function.name !== name));
  if (unknown !== undefined || (mustCall && all.length === 0)) {
    const problem =
      unknown === undefined ? "needs tools" : `names ${unknown}, which is not in tools`;
    throw refusal("invalid", `tool_choice ${problem}.`, { param: "tool_choice" });
  }
  const functions = all.flatMap(
    ({ function: { name, description, parameters, strict } }, index) => {
      if (names && !names.includes(name)) return [];
      const path = `tools.${index}.function.parameters`;
      const params = parameters ? answerSchema(parameters, path, strict === true) : undefined;
      return [[name, { description: description ?? undefined, params }] as const];
    },
  );
  return {
    functions:
      functions.length === 0 ? undefined : (Object.fromEntries(functions) as ChatModelFunctions),
    mustCall,
    maxCalls: parallel === false ? 1 : undefined,
  };
}

/** @returns the functions that are left; undefined: all */
function choiceOf(choice: z.infer<typeof toolChoice>): { names?: string[]; mustCall: boolean } {
  if (choice === "none") return { names: [], mustCall: false };
  if (typeof choice === "string") return { mustCall: choice === "required" };
  if (choice.type === "function") return { names: [choice.function.name], mustCall: true };
  const { mode, tools } = choice.allowed_tools;
  return { names: tools.map((one) => one.function.name), mustCall: mode === "required" };
}
