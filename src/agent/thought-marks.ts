/** What a mark in a model's text begins or ends. */
export type MarkKind =
  /** Thoughts, or a call of a tool, begin and are hidden. */
  | "open"
  | "tool"
  | "close"
  /** The name of a channel or role follows (OpenAI's harmony format). */
  | "header"
  /** The message of that channel begins. */
  | "message"
  /** Left over from a chat template; not for people. */
  | "drop";

export interface Mark {
  kind: MarkKind;
  start: number;
  end: number;
}

const THINKING = "think(?:ing|_\\w+)?|thoughts?|reasoning|reflection|scratchpad|inner_monologue";

/**
 * The marks that models and their servers write, each with the model that it is known from. Tags
 * may have a prefix (`<seed:think>`) and attributes.
 */
const MARKS: readonly [MarkKind, RegExp][] = [
  // DeepSeek R1, Qwen3, QwQ, Nemotron, Seed-OSS, EXAONE, and prompts that ask for tags.
  ["open", new RegExp(`<(?:\\w+:)?(?:${THINKING})(?:\\s[^<>]{0,60})?>`, "i")],
  ["close", new RegExp(`</(?:\\w+:)?(?:${THINKING})\\s*>`, "i")],
  // Magistral.
  ["open", /\[THINK\]/i],
  ["close", /\[\/THINK\]/i],
  // Kimi.
  ["open", /◁think▷/i],
  ["close", /◁\/think▷/i],
  // Gemma 4; MedGemma.
  ["open", /<\|channel>(?:thought)?|<unused94>(?:thought)?/i],
  ["close", /<channel\|>|<unused95>/i],
  // OpenThinker, Command A, Apertus.
  [
    "open",
    /<[|｜](?:(?:begin|start)_(?:of_)?)?(?:think(?:ing)?|thought|reasoning|inner_prefix)[|｜]>/i,
  ],
  [
    "close",
    /<[|｜](?:end_(?:of_)?|\/)(?:think(?:ing)?|thought|reasoning)[|｜]>|<\|inner_suffix\|>/i,
  ],
  // Qwen, Hermes, Mistral and Llama, when they call a tool in the text.
  [
    "tool",
    /<tool_calls?>|<[|｜]tool[_▁]calls?[^<>|｜]{0,24}begin[|｜]>|<\|(?:tool_call|python_tag)\|>|\[TOOL_CALLS\]/i,
  ],
  ["close", /<\/tool_calls?>|<[|｜]tool[_▁]calls?[^<>|｜]{0,24}end[|｜]>/i],
  // gpt-oss.
  ["header", /<\|(?:channel|start|im_start|start_header_id)\|>/i],
  ["message", /<\|(?:message|end_header_id)\|>/i],
  ["drop", /<[|｜][^<>|｜\n]{1,40}[|｜]>|<(?:end_of_turn|start_of_turn)>|<\/?s>(?!\w)/i],
];

const ANY = new RegExp(MARKS.map(([, mark]) => `(${mark.source})`).join("|"), "i");

/** The first mark in a text. */
export function firstMark(text: string): Mark | undefined {
  const found = ANY.exec(text);
  if (!found) return undefined;
  const which = found.slice(1).findIndex((group) => group !== undefined);
  const kind = MARKS[which]?.[0];
  return kind && { kind, start: found.index, end: found.index + found[0].length };
}

/** How a mark may begin: the rest of it is still to come. */
const BEGINNINGS = [
  /<\/?(?:\w+:)?\w{0,20}$/,
  new RegExp(`</?(?:\\w+:)?(?:${THINKING})\\s[^<>]{0,60}$`, "i"),
  /<[|｜][^<>|｜\n]{0,40}[|｜]?$/,
  /<channel\|?$/i,
  /\[\/?[A-Z_]{0,12}$/i,
  /◁\/?\w{0,5}$/,
];

/**
 * How much of a text is sure to hold no part of a mark that is still to come, in characters. Only a
 * few characters that look like the beginning of one are held back.
 */
export function sureLength(text: string): number {
  const at = Math.max(text.lastIndexOf("<"), text.lastIndexOf("["), text.lastIndexOf("◁"));
  const tail = at < 0 ? "" : text.slice(at);
  return BEGINNINGS.some((beginning) => beginning.test(tail)) ? at : text.length;
}
