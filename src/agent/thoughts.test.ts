import { describe, expect, test } from "bun:test";
import { ThoughtFilter } from "./thoughts.ts";

/** What is shown in the end of a text that arrives in these parts. */
function shownOf(parts: readonly string[], holds = false): string {
  const filter = new ThoughtFilter(holds);
  let shown = "";
  for (const one of [...parts.map((part) => filter.write(part)), filter.end()]) {
    shown = one.restarts ? one.text : shown + one.text;
  }
  return shown.trim();
}

/** Every way to cut a text in two, and into single characters. */
function cuts(text: string): string[][] {
  const two = Array.from({ length: text.length + 1 }, (_, at) => [
    text.slice(0, at),
    text.slice(at),
  ]);
  return [[text], [...text], ...two];
}

const HIDDEN: [text: string, shown: string][] = [
  ["<think>hm</think>Hello Ada.", "Hello Ada."],
  ["<think>\n\n</think>\n\nHello Ada.", "Hello Ada."],
  ["<THINK>hm</Think> Hello Ada.", "Hello Ada."],
  ["<thinking>hm</thinking>Hello Ada.", "Hello Ada."],
  ['<thinking type="deep">hm</thinking>Hello Ada.', "Hello Ada."],
  ["<thought>hm < 3</thought>Hello Ada.", "Hello Ada."],
  ["<reasoning>hm</reasoning>Hello Ada.", "Hello Ada."],
  ["<seed:think>hm</seed:think>Hello Ada.", "Hello Ada."],
  ["[THINK]hm[/THINK]Hello Ada.", "Hello Ada."],
  ["[think]hm[/think]Hello Ada.", "Hello Ada."],
  ["◁think▷hm◁/think▷Hello Ada.", "Hello Ada."],
  [
    "<|begin_of_thought|>hm<|end_of_thought|><|begin_of_solution|>Hello Ada.<|end_of_solution|>",
    "Hello Ada.",
  ],
  [
    "<|START_THINKING|>hm<|END_THINKING|><|START_RESPONSE|>Hello Ada.<|END_RESPONSE|>",
    "Hello Ada.",
  ],
  ["<unused94>thought\nhm<unused95>Hello Ada.", "Hello Ada."],
  ["<|channel>thought\nhm<channel|>Hello Ada.", "Hello Ada."],
  [
    "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>Hello Ada.<|return|>",
    "Hello Ada.",
  ],
  [
    "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>commentary<|message|>so<|end|>" +
      "<|start|>assistant<|channel|>final <|constrain|>text<|message|>Hello Ada.",
    "Hello Ada.",
  ],
  [
    "analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>Hello Ada.",
    "Hello Ada.",
  ],
  ["final<|message|>Hello Ada.", "Hello Ada."],
  ["analysisThe user greets me.assistantfinalHello Ada.", "Hello Ada."],
  ["Here is my thought process: hm. Here is my response: Hello Ada.", "Hello Ada."],
  ["I should greet. Yes.</think>\n\nHello Ada.", "Hello Ada."],
  ["I should greet.[/THINK]Hello Ada.", "Hello Ada."],
  ["Hello.<think>more?</think> Ada.", "Hello. Ada."],
  ["<think>a</think>Hello Ada.</think>", "Hello Ada."],
  ["<think>a<think>b</think>c</think>Hello Ada.", "Hello Ada."],
  ["<think>never closed", ""],
  ["only thoughts</think>", ""],
  ['Hello Ada.<tool_call>{"name":"x"}</tool_call>', "Hello Ada."],
  ["<|im_start|>assistant\nHello Ada.<|im_end|>", "Hello Ada."],
];

test.each(HIDDEN)("of %j, however it is cut, people get %j", (text, shown) => {
  for (const parts of cuts(text))
    expect({ parts, shown: shownOf(parts) }).toEqual({ parts, shown });
});

test.each(HIDDEN)("of %j the same is left when the beginning is held back", (text, shown) => {
  for (const parts of cuts(text)) {
    expect({ parts, shown: shownOf(parts, true) }).toEqual({ parts, shown });
  }
});

const ORDINARY = [
  "The tag `</think>` ends a thought, and `<think>` begins it.",
  "It looks like this:\n```\n<think>hm</think>\n```\nThat is all.",
  'People write "<think>" and "</think>" around it.',
  "If a < b and b > c, then [maybe] a <b>bold</b> word.",
  "An array[0] and a list [x, y]; 3 <4.",
  "analysis is a word, and final is another.",
  "Here is my house.",
  "`unclosed, and that is fine.\nNext line.",
  "Use ``a`b`` here.",
];

test.each(ORDINARY)("%j is ordinary text", (text) => {
  for (const parts of cuts(text)) {
    expect(shownOf(parts)).toBe(text);
    expect(shownOf(parts, true)).toBe(text);
  }
});

describe("what is shown early", () => {
  test("ordinary words are not held back", () => {
    const filter = new ThoughtFilter(false);
    expect(filter.write("Hello there").text).toBe("Hello there");
    expect(filter.write(", 3 < 4").text).toBe(", 3 < 4");
    expect(filter.write(" and <b>").text).toBe(" and <b>");
  });

  test("a beginning that is held back is shown when no thought ends, or thoughts come apart", () => {
    const filter = new ThoughtFilter(true);
    expect(filter.write("Hello.").text).toBe("");
    filter.release();
    expect(filter.write(" Ada.").text).toBe("Hello. Ada.");
    expect(filter.beganInThought).toBe(false);
  });

  test("a closing mark alone says that the answer begins again", () => {
    const filter = new ThoughtFilter(false);
    expect(filter.write("I should greet.")).toEqual({ text: "I should greet.", restarts: false });
    expect(filter.write("</think>").restarts).toBe(false);
    expect(filter.write("Hello.").restarts).toBe(true);
    expect(filter.beganInThought).toBe(true);
  });
});
