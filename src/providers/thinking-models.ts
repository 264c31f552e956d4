import { isOpenAi, type Thinking } from "../domain/stage.ts";

/** Models that always think, whose chat template may write the opening mark itself. */
const ALWAYS =
  /(?:^|[/:_-])(?:qwq|deepseek-r1|r1(?:-\d|$)|magistral|nemotron|reasoner|k2-thinking|exaone-deep|phi-?4-(?:mini-)?(?:flash-)?reasoning|deephermes|openthinker|skywork-o1|marco-o1)|thinking|reasoning/i;
/** Models that think unless they are asked not to. */
const HYBRID =
  /qwen-?3(?!.*(?:instruct|coder|embedding))|deepseek-v3\.[12]|glm-?[45]|hunyuan|seed-oss|smollm3|gpt-oss|gemini-(?:2\.5|3)|granite-?3\.[23]|kimi-k2|minimax-m|ernie-4\.5.*(?:thinking|vl)|cogito|olmo-?3/i;
const OPENAI = /(?:^|\/)(?:o[134](?:-|$)|gpt-5)/i;

/** Whether a model begins its answers with thoughts, as far as its name tells. */
export function alwaysThinks(model: string): boolean {
  return ALWAYS.test(model) && !/non-?(?:thinking|reasoning)/i.test(model);
}

/** Whether a model may be silent for long before its first word, as far as its name tells. */
export function thinksLong(model: string): boolean {
  return alwaysThinks(model) || /(?:^|\/)o[134](?:-|$)/i.test(model);
}

/**
 * The fields of a request that ask a model not to think, because a person waits for its voice.
 *
 * @param isKnownToThink whether the model was seen to think, whatever its name
 */
export function thinkingFields(
  { baseURL, model }: { baseURL: string; model: string },
  thinking: Thinking,
  isKnownToThink: boolean,
): Record<string, unknown> {
  if (thinking === "on") return {};
  if (OPENAI.test(model)) return { reasoning_effort: openAiEffort(model) };
  // OpenAI refuses fields that it does not know.
  if (isOpenAi(baseURL)) return {};
  const thinks = isKnownToThink || alwaysThinks(model) || HYBRID.test(model);
  if (!thinks && thinking === "auto") return {};
  // gpt-oss cannot be told to stop.
  if (/gpt-oss/i.test(model)) return { reasoning_effort: "low" };
  return {
    // Ollama, LM Studio, Groq, OpenRouter, Gemini.
    reasoning_effort: "none",
    // vLLM, SGLang and llama.cpp hand these to the chat template: Qwen3 and GLM; DeepSeek, Granite.
    chat_template_kwargs: { enable_thinking: false, thinking: false },
  };
}

/** The least that OpenAI's models can be asked for. */
function openAiEffort(model: string): string {
  if (/gpt-5\.\d/i.test(model)) return "none";
  return /gpt-5/i.test(model) ? "minimal" : "low";
}
