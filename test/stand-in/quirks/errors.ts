import type { Stage } from "../faults.ts";
import type { Quirk } from "../quirks.ts";

/** How a server refuses a request, and what Parley makes of it. */
export interface ServerError {
  name: string;
  /** The public report that it comes from, as `owner/repository#number` or an address. */
  report: string;
  stage: Stage;
  status: number;
  /** JSON, or a text that is none. */
  body: unknown;
  headers?: Record<string, string>;
  /** The code of the `error` event. */
  code: string;
  /** Words of its message. */
  says: RegExp;
}

const PATHS: Readonly<Record<Stage, RegExp>> = {
  stt: /\/audio\/transcriptions$/,
  llm: /\/chat\/completions$/,
  tts: /\/audio\/speech$/,
};

/** A server that refuses every request of a stage in this way. */
export function refuses(error: ServerError): Quirk {
  const { name, report, stage, status, body, headers } = error;
  return {
    name,
    report,
    path: PATHS[stage],
    answer: async () =>
      typeof body === "string"
        ? new Response(body, { status, headers: { "content-type": "text/html", ...headers } })
        : Response.json(body, { status, ...(headers === undefined ? {} : { headers }) }),
  };
}

const openAi = (message: string, code: string | null, type = "invalid_request_error") => ({
  error: { message, type, param: null, code },
});

/** Refusals as servers word them. */
export const SERVER_ERRORS: readonly ServerError[] = [
  {
    name: "Ollama does not have the model",
    report: "netease-youdao/QAnything#555",
    stage: "llm",
    status: 404,
    body: openAi('model "gpt-4o-mini" not found, try pulling it first', null, "api_error"),
    code: "provider_model_unknown",
    says: /does not know the model “MODEL” \(404\)\. Check LLM_MODEL\./,
  },
  {
    name: "Ollama's own form of the same",
    report: "TheBlewish/Automated-AI-Web-Researcher-Ollama#42",
    stage: "llm",
    status: 404,
    body: { error: "model 'custom-phi3-32k-Q4_K_M' not found" },
    code: "provider_model_unknown",
    says: /does not know the model “MODEL”/,
  },
  {
    name: "vLLM does not serve the model",
    report: "vllm-project/vllm#3485",
    stage: "llm",
    status: 404,
    body: {
      object: "error",
      message: "The model `Qwen1.5-14B-Chat-GPTQ-Int8` does not exist.",
      type: "NotFoundError",
      param: null,
      code: 404,
    },
    code: "provider_model_unknown",
    says: /does not know the model “MODEL”/,
  },
  {
    name: "Groq no longer has the model",
    report: "continuedev/continue#10832",
    stage: "llm",
    status: 404,
    body: openAi(
      "The model `llama3.1-405b` does not exist or you do not have access to it.",
      "model_not_found",
    ),
    code: "provider_model_unknown",
    says: /does not know the model “MODEL”/,
  },
  {
    name: "Azure has no such deployment",
    report: "chatboxai/chatbox#646",
    stage: "llm",
    status: 404,
    body: {
      error: {
        code: "DeploymentNotFound",
        message:
          "The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, please wait a moment and try again.",
      },
    },
    code: "provider_model_unknown",
    says: /does not know the model “MODEL”/,
  },
  {
    name: "Speaches has not downloaded the model",
    report: "Osmantic/ODS#982",
    stage: "stt",
    status: 404,
    body: {
      detail:
        "Model 'Systran/faster-whisper-base' is not installed locally. You can download the model using `POST /v1/models`",
    },
    code: "provider_model_unknown",
    says: /does not know the model “MODEL” \(404\)\. Check STT_MODEL\./,
  },
  {
    name: "the OpenAI project may not use the model",
    report: "Aider-AI/aider#604",
    stage: "llm",
    status: 403,
    body: openAi(
      "Project `proj_uFBGSkr9FAbFof6HIsCIszAP` does not have access to model `gpt-4o`",
      "model_not_found",
    ),
    code: "provider_unauthorized",
    says: /does not let this API key use the model “MODEL” \(403\)/,
  },
  {
    name: "OpenAI does not serve the country",
    report: "home-assistant/core#120072",
    stage: "llm",
    status: 403,
    body: {
      error: {
        code: "unsupported_country_region_territory",
        message: "Country, region, or territory not supported",
        param: null,
        type: "request_forbidden",
      },
    },
    code: "provider_unauthorized",
    says: /does not serve the country/,
  },
  {
    name: "Gemini refuses the key with 400, in JSON within JSON",
    report: "continuedev/continue#10290",
    stage: "llm",
    status: 400,
    body: {
      error: {
        message: JSON.stringify({
          error: {
            code: 400,
            message: "API key not valid. Please pass a valid API key.",
            status: "INVALID_ARGUMENT",
            details: [{ reason: "API_KEY_INVALID" }],
          },
        }),
        code: 400,
        status: "Bad Request",
      },
    },
    code: "provider_unauthorized",
    says: /refused the API key \(400\)\. Check LLM_API_KEY\./,
  },
  {
    name: "OpenAI's account has no money left",
    report: "ChatGPTNextWeb/NextChat#3123",
    stage: "llm",
    status: 429,
    body: openAi(
      "You exceeded your current quota, please check your plan and billing details.",
      "insufficient_quota",
      "insufficient_quota",
    ),
    code: "provider_quota",
    says: /quota or balance is used up \(429\)\. Check the plan/,
  },
  {
    name: "OpenRouter's account has no credits",
    report: "Gitlawb/openclaude#43",
    stage: "llm",
    status: 402,
    body: {
      error: {
        message: "Insufficient credits. This account never purchased credits.",
        code: 402,
      },
    },
    code: "provider_quota",
    says: /quota or balance is used up \(402\)/,
  },
  {
    name: "Groq's limit of tokens per minute is reached",
    report: "danielmiessler/Fabric#364",
    stage: "llm",
    status: 429,
    body: {
      error: {
        message:
          "Rate limit reached for model `llama3-70b-8192` in organization `org_x` on tokens per minute (TPM): Limit 7000, Used 0, Requested ~12903. Please try again in 50.597142857s. Need more tokens? Upgrade to Dev Tier today at https://console.groq.com/settings/billing",
        type: "tokens",
        code: "rate_limit_exceeded",
      },
    },
    code: "provider_rate_limited",
    says: /rate limit for this key \(429\)\. Try again in 51 seconds\./,
  },
  {
    name: "Groq's limit of tokens per day is reached",
    report: "continuedev/continue#10920",
    stage: "llm",
    status: 429,
    body: openAi(
      "Rate limit reached for model `llama-3.3-70b-versatile` on tokens per day (TPD): Limit 100000, Used 97050, Requested 3619. Please try again in 9m38.016s.",
      "rate_limit_exceeded",
      "tokens",
    ),
    code: "provider_rate_limited",
    says: /Try again in 10 minutes\./,
  },
  {
    name: "the header says when to try again",
    report: "https://platform.openai.com/docs/guides/rate-limits",
    stage: "tts",
    status: 429,
    body: openAi("Rate limit reached", "rate_limit_exceeded"),
    headers: { "retry-after": "20" },
    code: "provider_rate_limited",
    says: /Try again in 20 seconds\./,
  },
  {
    name: "Groq takes no request of this size",
    report: "HunorLaczko/ha-groq-cloud-api#27",
    stage: "llm",
    status: 413,
    body: openAi(
      "Request too large for model llama-3.1-8b-instant in organization org_x service tier on_demand on tokens per minute (TPM): Limit 6000, Requested 12328, please reduce your message size and try again.",
      "rate_limit_exceeded",
      "tokens",
    ),
    code: "provider_context",
    says: /cannot take a conversation of this length/,
  },
  {
    name: "OpenAI says the same with 429",
    report: "vanna-ai/vanna-flask#11",
    stage: "llm",
    status: 429,
    body: openAi(
      "Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 342389. The input or output tokens must be reduced in order to run successfully.",
      "rate_limit_exceeded",
      "tokens",
    ),
    code: "provider_context",
    says: /cannot take a conversation of this length/,
  },
  {
    name: "llama.cpp's context is full",
    report: "oobabooga/textgen#7257",
    stage: "llm",
    status: 400,
    body: {
      error: {
        code: 400,
        message:
          "the request exceeds the available context size. try increasing the context size or enable context shift",
        type: "exceed_context_size_error",
        n_prompt_tokens: 14_429,
        n_ctx: 8192,
      },
    },
    code: "provider_context",
    says: /cannot take a conversation of this length with the model “MODEL”/,
  },
  {
    name: "SGLang's context is full",
    report: "QwenLM/Qwen3#1321",
    stage: "llm",
    status: 400,
    body: {
      object: "error",
      message: "The input (61709 tokens) is longer than the model's context length (40960 tokens).",
      type: "BadRequestError",
      param: null,
      code: 400,
    },
    code: "provider_context",
    says: /cannot take a conversation of this length/,
  },
  {
    name: "vLLM's context is full",
    report: "vllm-project/vllm#20409",
    stage: "llm",
    status: 400,
    body: {
      object: "error",
      message:
        "This model's maximum context length is 16384 tokens. However, you requested 19591 tokens (9591 in the messages, 10000 in the completion). Please reduce the length of the messages or completion.",
      type: "BadRequestError",
      param: null,
      code: 400,
    },
    code: "provider_context",
    says: /cannot take a conversation of this length/,
  },
  {
    name: "llama.cpp still loads the model",
    report: "mostlygeek/llama-swap#146",
    stage: "llm",
    status: 503,
    body: { error: { code: 503, message: "Loading model", type: "unavailable_error" } },
    code: "provider_loading",
    says: /is still loading the model “MODEL” \(503\)\. Wait a little/,
  },
  {
    name: "Ollama has too little memory for the model",
    report: "continuedev/continue#11715",
    stage: "llm",
    status: 500,
    body: { error: "model requires more system memory (5.0 GiB) than is available (3.9 GiB)" },
    code: "provider_model_unknown",
    says: /could not load the model “MODEL” \(500\)\. Check LLM_MODEL\./,
  },
  {
    name: "LocalAI cannot load the model",
    report: "mudler/LocalAI#1664",
    stage: "llm",
    status: 500,
    body: { error: { code: 500, message: "could not load model: rpc error", type: "" } },
    code: "provider_model_unknown",
    says: /could not load the model “MODEL”/,
  },
  {
    name: "LM Studio has no model loaded",
    report: "https://lmstudio.ai/docs/developer/openai-compat",
    stage: "llm",
    status: 404,
    body: openAi(
      "No models loaded. Please load a model in the developer page or use the `lms load` command.",
      "model_not_found",
    ),
    code: "provider_model_unknown",
    says: /has no model loaded \(404\)\. Load one in that server\./,
  },
  {
    name: "LM Studio has no such path",
    report: "lmstudio-ai/lmstudio-bug-tracker#618",
    stage: "llm",
    status: 404,
    body: { error: "Unexpected endpoint or method. (POST /chat/completions)" },
    code: "provider_not_found",
    says: /has nothing at this address \(404\)\. Check LLM_BASE_URL\. It usually ends in \/v1\./,
  },
  {
    name: "Ollama has no such path",
    report: "ollama/ollama#3050",
    stage: "llm",
    status: 404,
    body: "404 page not found",
    code: "provider_not_found",
    says: /has nothing at this address \(404\)/,
  },
  {
    name: "FastAPI has no such path",
    report: "https://fastapi.tiangolo.com/tutorial/handling-errors/",
    stage: "stt",
    status: 404,
    body: { detail: "Not Found" },
    code: "provider_not_found",
    says: /has nothing at this address \(404\)/,
  },
  {
    name: "FastAPI does not take a POST there",
    report: "https://fastapi.tiangolo.com/tutorial/handling-errors/",
    stage: "tts",
    status: 405,
    body: { detail: "Method Not Allowed" },
    code: "provider_not_found",
    says: /has nothing at this address \(405\)/,
  },
  {
    name: "a web server answers with its page",
    report: "https://developer.mozilla.org/en-US/docs/Web/HTTP/Status/404",
    stage: "llm",
    status: 404,
    body: "<!DOCTYPE html><html><body><h1>Not Found</h1></body></html>",
    code: "provider_not_found",
    says: /answered with a web page \(404\)/,
  },
  {
    name: "Kokoro-FastAPI does not know the voice",
    report: "p0n1/epub_to_audiobook#147",
    stage: "tts",
    status: 400,
    body: {
      detail: {
        error: "validation_error",
        message: "Voice 'ballad' not found. Available voices: af_alloy, af_aoede, af_heart",
        type: "invalid_request_error",
      },
    },
    code: "provider_voice_unknown",
    says: /does not know the voice “VOICE” \(400\)\. Check TTS_VOICE\./,
  },
  {
    name: "FastAPI names the voice as wrong, and quotes the request",
    report: "speaches-ai/speaches#648",
    stage: "tts",
    status: 422,
    body: {
      detail: [
        {
          type: "value_error",
          loc: ["body", "voice"],
          msg: "Value error, Voice 'alloy' is not supported",
          input: { model: "kokoro", voice: "alloy", response_format: "pcm" },
        },
      ],
    },
    code: "provider_voice_unknown",
    says: /does not know the voice “VOICE” \(422\)/,
  },
  {
    name: "FastAPI names the model as wrong, and quotes the request",
    report: "https://fastapi.tiangolo.com/tutorial/handling-errors/",
    stage: "tts",
    status: 422,
    body: {
      detail: [
        {
          type: "literal_error",
          loc: ["body", "model"],
          msg: "Input should be 'tts-1' or 'tts-1-hd'",
          input: { model: "kokoro", voice: "alloy", response_format: "pcm" },
        },
      ],
    },
    code: "provider_model_unknown",
    says: /does not know the model “MODEL” \(422\)\. Check TTS_MODEL\./,
  },
  {
    name: "OpenAI's voice takes no text of this length",
    report: "metadist/synaplan#1665",
    stage: "tts",
    status: 400,
    body: openAi(
      "[{'type': 'string_too_long', 'loc': ('body', 'input'), 'msg': 'String should have at most 4096 characters', 'ctx': {'max_length': 4096}}]",
      null,
    ),
    code: "provider_too_large",
    says: /does not take this much text at once/,
  },
  {
    name: "OpenAI's newer models refuse a parameter",
    report: "fish2018/YPrompt#26",
    stage: "llm",
    status: 400,
    body: {
      error: {
        message:
          "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        type: "invalid_request_error",
        param: "max_tokens",
        code: "unsupported_parameter",
      },
    },
    code: "provider_rejected",
    says: /does not accept “max_tokens” with the model “MODEL”/,
  },
  {
    name: "a server gives no reason",
    report: "https://fastapi.tiangolo.com/tutorial/handling-errors/",
    stage: "tts",
    status: 400,
    body: {},
    code: "provider_rejected",
    says: /may not know the model “MODEL” or the voice “VOICE” \(400\)\. Check TTS_MODEL and TTS_VOICE\./,
  },
  {
    name: "Azure's filter declines",
    report: "https://learn.microsoft.com/azure/ai-foundry/openai/concepts/content-filter",
    stage: "llm",
    status: 400,
    body: {
      error: {
        message:
          "The response was filtered due to the prompt triggering content management policy.",
        type: null,
        param: "prompt",
        code: "content_filter",
        status: 400,
      },
    },
    code: "provider_declined",
    says: /declined to answer this \(400\)\. Ask in another way\./,
  },
  {
    name: "a gateway is overloaded",
    report: "https://platform.openai.com/docs/guides/error-codes",
    stage: "llm",
    status: 503,
    body: openAi("The engine is currently overloaded, please try again later", null),
    code: "provider_failed",
    says: /is overloaded or not ready \(503\)\. Please say it again\./,
  },
];
