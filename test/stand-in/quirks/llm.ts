import { pause } from "../faults.ts";
import type { Handler, Quirk } from "../quirks.ts";

/**
 * Ways in which servers of language models deviate. In a list of quirks, those of the wire come
 * first, then those of the chunks, then those of the request, since the first is the nearest to the
 * client.
 */

const CHAT = /\/chat\/completions$/;

type Fields = Record<string, unknown>;

interface Origin {
  name: string;
  report: string;
}

/** Changes the values that are streamed. */
export function onChunks(origin: Origin, change: (chunks: Fields[]) => unknown[]): Quirk {
  return {
    ...origin,
    path: CHAT,
    async answer(request, next) {
      const response = await next(request);
      const chunks = await chunksOf(response);
      if (!chunks) return response;
      const events = change(chunks).map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`);
      return stream([...events, "data: [DONE]\n\n"].join(""));
    },
  };
}

/** Changes chunks whose content is words. */
function onWords(origin: Origin, change: (choice: Fields) => Fields): Quirk {
  return onChunks(origin, (chunks) =>
    mapChoices(chunks, (choice) => {
      const { content } = (choice["delta"] ?? {}) as Fields;
      return typeof content === "string" ? change(choice) : choice;
    }),
  );
}

/** Changes how the stream is written. */
export function onWire(
  origin: Origin,
  change: (text: string) => string | Uint8Array[],
  type = "text/event-stream",
): Quirk {
  return {
    ...origin,
    path: CHAT,
    async answer(request, next) {
      const response = await next(request);
      if (!isStream(response)) return response;
      return stream(change(await response.text()), type);
    },
  };
}

/** Refuses or changes requests. */
function onRequest(
  origin: Origin,
  look: (body: Fields, request: Request, next: Handler) => Promise<Response> | Response | undefined,
): Quirk {
  return {
    ...origin,
    path: CHAT,
    async answer(request, next) {
      const body = (await request.clone().json()) as Fields;
      return (await look(body, request, next)) ?? next(request);
    },
  };
}

function isStream(response: Response): boolean {
  return response.ok && response.headers.get("content-type")?.includes("event-stream") === true;
}

async function chunksOf(response: Response): Promise<Fields[] | undefined> {
  if (!isStream(response)) return undefined;
  const text = await response.text();
  return [...text.matchAll(/^data: (\{.*\})$/gm)].map(
    ([, data]) => JSON.parse(data ?? "") as Fields,
  );
}

function stream(text: string | Uint8Array[], type = "text/event-stream"): Response {
  const parts = typeof text === "string" ? [Buffer.from(text)] : text;
  const body = new ReadableStream<Uint8Array>({
    async start(controller) {
      for (const part of parts) {
        controller.enqueue(part);
        // Parts that are written at once would arrive as one.
        await Bun.sleep(0);
      }
      controller.close();
    },
  });
  return new Response(body, { headers: { "content-type": type } });
}

/** The choices of a chunk, each with its delta. */
function mapChoices(chunks: Fields[], change: (choice: Fields) => Fields): Fields[] {
  return chunks.map((chunk) => ({
    ...chunk,
    choices: ((chunk["choices"] ?? []) as Fields[]).map((choice) => change(choice)),
  }));
}

function contentOf(choice: Fields | undefined): string {
  const delta = choice?.["delta"] as Fields | undefined;
  const content = delta?.["content"];
  return typeof content === "string" ? content : "";
}

function textOf(chunks: Fields[]): string {
  return chunks.map(({ choices }) => contentOf((choices as Fields[] | undefined)?.[0])).join("");
}

function beforeEvents(text: string, what: string): string {
  return text.replaceAll(/(^|\n\n)(?=data:)/g, `$1${what}`);
}

/** A chunk in the form of OpenAI's. */
export function chunk(delta: Fields, finish: string | null = null): Fields {
  const choices = [{ index: 0, delta, finish_reason: finish }];
  return { id: "1", object: "chat.completion.chunk", created: 1, model: "m", choices };
}

/** How the stream is written; each leaves the words as they are. */
export const WIRE: readonly Quirk[] = [
  onWire({ name: "CRLF", report: "hey-api/hey-api#3054" }, (text) => text.replaceAll("\n", "\r\n")),
  onWire({ name: "CR", report: "withastro/flue#215" }, (text) => text.replaceAll("\n", "\r")),
  onWire({ name: "no space after data:", report: "dataelement/Clawith#106" }, (text) =>
    text.replaceAll("data: ", "data:"),
  ),
  onWire({ name: "no [DONE]", report: "anomalyco/opencode#43379" }, (text) =>
    text.replace("data: [DONE]\n\n", ""),
  ),
  onWire({ name: "no blank lines between events", report: "Wei-Shaw/sub2api#1471" }, (text) =>
    text.replaceAll("\n\n", "\n"),
  ),
  onWire({ name: "comments", report: "openai/openai-go#227" }, (text) =>
    beforeEvents(text, ": OPENROUTER PROCESSING\n\n"),
  ),
  onWire({ name: "comments as data", report: "mnfst/llm-gateway#2053" }, (text) =>
    beforeEvents(text, "data: : OPENROUTER PROCESSING\n\n"),
  ),
  onWire({ name: "empty data", report: "Growth-Circle/cadis#2329" }, (text) =>
    beforeEvents(text, "data: \n\n"),
  ),
  onWire(
    { name: "names and numbers of events", report: "kubernetes-sigs/inference-perf#781" },
    (text) => beforeEvents(text, "event: message\nid: 7\nretry: 1000\n"),
  ),
  onWire({ name: "data in several lines", report: "kubernetes-sigs/inference-perf#781" }, (text) =>
    text.replaceAll(/^data: (\{.*\})$/gm, (_, data: string) =>
      JSON.stringify(JSON.parse(data), null, 1).replaceAll(/^/gm, "data: "),
    ),
  ),
  onWire(
    { name: "a broken line", report: "fox1245/NeoGraph#143" },
    (text) => `data: {"choices":[{"delta":{"content":"He\n\n${text}`,
  ),
  onWire(
    { name: "a byte order mark", report: "kubernetes-sigs/inference-perf#781" },
    (text) => `\ufeff${text}`,
  ),
  onWire({ name: "bytes one by one", report: "kubernetes-sigs/inference-perf#781" }, (text) =>
    [...Buffer.from(text)].map((byte) => Uint8Array.of(byte)),
  ),
  onWire(
    { name: "plain text as its type", report: "kubernetes-sigs/inference-perf#781" },
    (text) => text,
    "text/plain",
  ),
  onWire(
    { name: "JSON lines", report: "livekit/agents#2928" },
    (text) => text.replaceAll("data: [DONE]", "").replaceAll(/^data: /gm, ""),
    "application/x-ndjson",
  ),
];

/** What the chunks look like; each leaves the words as they are. */
export const CHUNKS: readonly Quirk[] = [
  onChunks(
    { name: "a first chunk without choices", report: "AndraxDev/speak-gpt#162" },
    (chunks) => [
      { object: "", choices: [], prompt_filter_results: [{ prompt_index: 0 }] },
      ...chunks,
    ],
  ),
  onChunks({ name: "usage without choices", report: "awslabs/llmeter#34" }, (chunks) => [
    ...chunks,
    { usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 } },
  ]),
  onChunks({ name: "usage with each chunk", report: "alfredapp/openai-workflow#52" }, (chunks) =>
    chunks.map((one) => ({ ...one, usage: { prompt_tokens: 3, completion_tokens: 2 } })),
  ),
  onChunks({ name: "null in every field", report: "pydantic/logfire#69" }, (chunks) =>
    mapChoices(chunks, (choice) => ({ ...choice, index: null, logprobs: null })).map((one) => ({
      ...one,
      id: null,
      created: null,
      model: null,
      usage: null,
      error: null,
    })),
  ),
  onChunks({ name: "only choices", report: "pydantic/logfire#69" }, (chunks) =>
    mapChoices(chunks, ({ delta, finish_reason }) =>
      finish_reason ? { delta: null, finish_reason } : { delta },
    ).map(({ choices }) => ({ choices })),
  ),
  onChunks({ name: "no finish_reason", report: "anomalyco/opencode#43882" }, (chunks) =>
    mapChoices(chunks, ({ finish_reason: _, ...choice }) => choice),
  ),
  onChunks(
    { name: "finishReason, and finish_reason null", report: "jakobdylanc/llmcord#84" },
    (chunks) =>
      mapChoices(chunks, (choice) => ({
        ...choice,
        finish_reason: null,
        finishReason: choice["finish_reason"],
      })),
  ),
  onChunks({ name: "an unknown finish_reason", report: "jakobdylanc/llmcord#84" }, (chunks) =>
    mapChoices(chunks, (choice) => ({
      ...choice,
      finish_reason: choice["finish_reason"] && "eos_token",
    })),
  ),
  onChunks({ name: "thoughts in reasoning_content", report: "livekit/agents#2928" }, (chunks) => [
    chunk({ role: "assistant", content: null, reasoning_content: "I should " }),
    chunk({ reasoning_content: "greet." }),
    ...chunks,
  ]),
  onChunks({ name: "thoughts as parts", report: "BerriAI/litellm#16272" }, (chunks) => [
    chunk({
      content: [{ type: "thinking", thinking: [{ type: "text", text: "I should greet." }] }],
    }),
    ...chunks,
  ]),
];

/** Where the words are in a chunk; one at a time. */
export const SHAPES: readonly Quirk[] = [
  onWords(
    { name: "message in the place of delta", report: "livekit/agents#2928" },
    ({ delta, ...choice }) => ({ ...choice, message: delta }),
  ),
  onWords(
    { name: "text in the place of delta", report: "livekit/agents#2928" },
    ({ delta, ...choice }) => ({ ...choice, text: contentOf({ delta }) }),
  ),
  onWords(
    { name: "content as a list of parts", report: "meilisearch/meilisearch#6327" },
    (choice) => ({
      ...choice,
      delta: { content: [{ type: "text", text: contentOf(choice) }, { type: "reference" }] },
    }),
  ),
];

/** Marks around thoughts; one at a time. */
export const THOUGHTS: readonly Quirk[] = [
  ...[
    ["<think>", "</think>\n\n", "pipecat-ai/pipecat#4901"],
    ["[THINK]", "[/THINK]", "PiSugar/whisplay-ai-chatbot#21"],
    ["<mm:think>", "</mm:think>", "NousResearch/hermes-agent#62680"],
    ["", "</think>\n\n", "logancyang/obsidian-copilot#2153"],
    [
      "<|channel|>analysis<|message|>",
      "<|end|><|start|>assistant<|channel|>final<|message|>",
      "kekzl/imp#768",
    ],
    ["analysis", "assistantfinal", "Augustas11/macprovider#743"],
  ].map(([open = "", close = "", report = ""]) =>
    onChunks({ name: `thoughts between ${open} and ${close.trim()}`, report }, (chunks) => [
      ...[...`${open}We should greet.${close}`].map((content) => chunk({ content })),
      ...chunks,
    ]),
  ),
];

/** A whole answer as one JSON body, although a stream was asked for. */
export const WHOLE_BODY: Quirk = {
  name: "a whole body in place of a stream",
  report: "livekit/agents#2928",
  path: CHAT,
  async answer(request, next) {
    const chunks = await chunksOf(await next(request));
    if (!chunks) return next(request);
    const message = { role: "assistant", content: textOf(chunks) };
    const choices = [{ index: 0, message, finish_reason: "stop" }];
    const body = { id: "1", object: "chat.completion", choices, usage: null };
    return new Response(JSON.stringify(body, null, 2), {
      headers: { "content-type": "application/json" },
    });
  },
};

/** Leaves the stream open after the answer is complete. */
export const STAYS_OPEN: Quirk = {
  name: "a stream that is never closed",
  report: "musistudio/claude-code-router#1271",
  path: CHAT,
  async answer(request, next) {
    const response = await next(request);
    if (!isStream(response)) return response;
    const text = (await response.text()).replace("data: [DONE]\n\n", "");
    const body = new ReadableStream({ start: (stream) => stream.enqueue(Buffer.from(text)) });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  },
};

/** Insists on roles that alternate, as the templates of Mistral and Gemma do. */
export const STRICT_ROLES = onRequest(
  { name: "strict roles", report: "vllm-project/vllm#6862" },
  ({ messages }) => {
    const all = messages as { role: string; content: unknown }[];
    const turns = all[0]?.role === "system" ? all.slice(1) : all;
    const isStrict =
      turns.length % 2 === 1 &&
      turns.every(({ role }, at) => role === (at % 2 === 0 ? "user" : "assistant")) &&
      all.every(({ content }) => typeof content === "string" && content.trim() !== "");
    if (isStrict) return undefined;
    const message =
      "After the optional system message, conversation roles must alternate user/assistant/...";
    return Response.json({ object: "error", message, code: 400 }, { status: 400 });
  },
);

/** Takes no system message. */
export const NO_SYSTEM = onRequest(
  { name: "no system role", report: "huggingface/chat-ui#1386" },
  ({ messages }) =>
    (messages as { role: string }[]).some(({ role }) => role === "system")
      ? Response.json(
          { object: "error", message: "System role not supported", code: 400 },
          { status: 400 },
        )
      : undefined,
);

/** Refuses what it does not know. */
export const KNOWN_FIELDS_ONLY = onRequest(
  { name: "unknown fields are refused", report: "generative-computing/mellea#270" },
  (body) => {
    const known = ["model", "messages", "stream", "max_tokens"];
    const unknown = Object.keys(body).find((name) => !known.includes(name));
    if (unknown === undefined) return undefined;
    const message = `Unrecognized request argument supplied: ${unknown}`;
    return Response.json({ error: { message, type: "invalid_request_error" } }, { status: 400 });
  },
);

/** How servers refuse a conversation that is too long for the model. */
export const TOO_LONG: Readonly<
  Record<string, { report: string; refusal(limit: number, sent: number): Response }>
> = {
  OpenAI: {
    report: "livekit/agents#2928",
    refusal: (limit, sent) =>
      Response.json(
        {
          error: {
            message: `This model's maximum context length is ${limit} tokens. However, your messages resulted in ${sent} tokens. Please reduce the length of the messages.`,
            type: "invalid_request_error",
            param: "messages",
            code: "context_length_exceeded",
          },
        },
        { status: 400 },
      ),
  },
  "llama.cpp": {
    report: "ggml-org/llama.cpp#15780",
    refusal: (limit, sent) =>
      Response.json(
        {
          error: {
            code: 400,
            message: "the request exceeds the available context size, try increasing it",
            type: "exceed_context_size_error",
            n_prompt_tokens: sent,
            n_ctx: limit,
          },
        },
        { status: 400 },
      ),
  },
  "llama.cpp with status 200": {
    report: "oobabooga/textgen#7257",
    refusal: (limit, sent) =>
      Response.json({
        error: {
          code: 400,
          message: "the request exceeds the available context size.",
          type: "exceed_context_size_error",
          n_prompt_tokens: sent,
          n_ctx: limit,
        },
      }),
  },
  "llama.cpp without a number": {
    report: "ggml-org/llama.cpp#19774",
    refusal: () =>
      Response.json(
        { error: { code: 500, message: "Context size has been exceeded.", type: "server_error" } },
        { status: 500 },
      ),
  },
  "LM Studio": {
    report: "lmstudio-ai/lmstudio-bug-tracker#546",
    refusal: (limit, sent) =>
      Response.json(
        {
          error: `Trying to keep the first ${sent} tokens when context the overflows. However, the model is loaded with context length of only ${limit} tokens, which is not enough.`,
        },
        { status: 400 },
      ),
  },
  "LM Studio in the stream": {
    report: "dyad-sh/dyad#925",
    refusal: (limit, sent) =>
      stream(
        `event: error\ndata: {"error":{"message":"Trying to keep the first ${sent} tokens when context the overflows. However, the model is loaded with context length of only ${limit} tokens"}}\n\n`,
      ),
  },
  "llama-cpp-python": {
    report: "abetlen/llama-cpp-python#416",
    refusal: (limit, sent) =>
      new Response(`Requested tokens (${sent}) exceed context window of ${limit}`, { status: 500 }),
  },
};

/** Takes a conversation of so many words only. */
export function smallContext(limit: number, server: keyof typeof TOO_LONG): Quirk {
  const { report, refusal } = TOO_LONG[server] ?? {};
  if (!report || !refusal) throw new Error(`no refusal of ${server}`);
  return onRequest(
    { name: `a context of ${limit} tokens at ${server}`, report },
    ({ messages }) => {
      const text = (messages as { content: string }[]).map(({ content }) => content).join(" ");
      const sent = text.split(/\s+/).length;
      return sent > limit ? refusal(limit, sent) : undefined;
    },
  );
}

/** Calls a tool at every request, though none was offered. */
export const CALLS_A_TOOL = onChunks(
  { name: "tool calls", report: "livekit/agents-js#1128" },
  () => [
    chunk({
      tool_calls: [
        { index: 0, id: "c1", type: "function", function: { name: "web_search", arguments: "{}" } },
      ],
    }),
    chunk({}, "tool_calls"),
  ],
);

/** Loads its model at the first request, and stops when the client hangs up. */
export class ColdModel implements Quirk {
  readonly name = "a model that is loaded at the first request";
  readonly report = "ollama/ollama#8006";
  readonly path = CHAT;
  readonly #loadingMs: number;
  readonly #unloadedAfterMs: number;
  #usedAt = Number.NEGATIVE_INFINITY;
  #loading: Promise<boolean> | undefined;
  /** How often loading was broken off. */
  hangUps = 0;

  /** @param unloadedAfterMs idle time after which it must be loaded again */
  constructor(loadingMs: number, unloadedAfterMs = Number.POSITIVE_INFINITY) {
    this.#loadingMs = loadingMs;
    this.#unloadedAfterMs = unloadedAfterMs;
  }

  async answer(request: Request, next: Handler): Promise<Response> {
    while (Date.now() - this.#usedAt > this.#unloadedAfterMs || this.#usedAt < 0) {
      this.#loading ??= this.#load(request.signal);
      const isLoaded = await this.#loading;
      this.#loading = undefined;
      if (isLoaded) this.#usedAt = Date.now();
      if (request.signal.aborted) return new Response();
    }
    this.#usedAt = Date.now();
    return next(request);
  }

  async #load(signal: AbortSignal): Promise<boolean> {
    const isLoaded = await pause(this.#loadingMs, signal);
    if (!isLoaded) this.hangUps += 1;
    return isLoaded;
  }
}
