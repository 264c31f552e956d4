import { describe, expect, test } from "bun:test";
import { type ChatPiece, readChat } from "./chat-stream.ts";

async function piecesOf(...parts: (string | Uint8Array)[]): Promise<ChatPiece[]> {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const part of parts) {
        controller.enqueue(typeof part === "string" ? Buffer.from(part) : part);
      }
      controller.close();
    },
  });
  return Array.fromAsync(readChat(body));
}

async function textOf(...parts: (string | Uint8Array)[]): Promise<string> {
  const pieces = await piecesOf(...parts);
  return pieces.map((piece) => (piece.kind === "text" ? piece.text : "")).join("");
}

const content = (text: string) => JSON.stringify({ choices: [{ delta: { content: text } }] });

describe("words are found", () => {
  const BODIES: [what: string, body: string][] = [
    ["a text at the top", '{"text":"Hello"}'],
    ["Ollama's own form", '{"message":{"role":"assistant","content":"Hello"},"done":true}'],
    ["Ollama's generate", '{"response":"Hello","done":true}'],
    ["llama.cpp's own form", 'data: {"content":"Hello","stop":true}\n\n'],
    [
      "Anthropic's form",
      'data: {"type":"content_block_delta","delta":{"type":"text_delta","text":"Hello"}}\n\n',
    ],
    [
      "Gemini's form",
      '{"candidates":[{"content":{"parts":[{"text":"hm","thought":true},{"text":"Hello"}]}}]}',
    ],
    ["choices as an object", '{"choices":{"message":{"content":"Hello"}}}'],
    ["a delta that is a text", 'data: {"choices":[{"delta":"Hello"}]}\n\n'],
    ["a list of bodies", `[${content("Hel")},${content("lo")}]`],
    ["a body in lines", JSON.stringify(JSON.parse(content("Hello")), null, 2)],
    [
      "an index that is a text",
      'data: {"choices":[{"index":"0","delta":{"content":"Hello"}}]}\n\n',
    ],
    [
      "only the first of several choices",
      'data: {"choices":[{"index":0,"delta":{"content":"Hello"}},{"index":1,"delta":{"content":"Bye"}}]}\n\n',
    ],
    [
      "a whole message that repeats the deltas",
      `data: ${content("Hello")}\n\ndata: {"choices":[{"delta":{},"message":{"content":"Hello"},"finish_reason":"stop"}]}\n\n`,
    ],
    [
      "an event after a cut one",
      `data: {"choices":[{"delta":{"con\n\ndata: ${content("Hello")}\n\n`,
    ],
    ["no end of line", `data: ${content("Hello")}`],
  ];

  test.each(BODIES)("in %s", async (_, body) => {
    expect(await textOf(body)).toBe("Hello");
    expect(await textOf(...body)).toBe("Hello");
  });

  test("in characters that are cut between their bytes", async () => {
    const bytes = Buffer.from(`data: ${content("Grüße 😀")}\r\n\r\n`);
    expect(await textOf(...Array.from(bytes, (byte) => Uint8Array.of(byte)))).toBe("Grüße 😀");
  });
});

test("what follows [DONE] is not read", async () => {
  expect(await textOf(`data: [DONE]\n\ndata: ${content("Hello")}\n\n`)).toBe("");
});

describe("errors are told apart from answers", () => {
  test.each([
    '{"error":{"message":"boom"}}',
    'data: {"error":"boom"}\n\n',
    'error: {"message":"boom"}\n\n',
    'event: error\ndata: {"message":"boom","code":500}\n\n',
    '{"object":"error","message":"boom"}',
    '{"detail":"boom"}',
    '{"type":"error","error":{"message":"boom"}}',
  ])("%j", async (body) => {
    const [first] = await piecesOf(body);
    expect(first?.kind).toBe("error");
    expect(JSON.stringify(first)).toContain("boom");
  });

  test.each(["null", "{}", '""'])("error: %s is none", async (error) => {
    const body = `data: {"error":${error},"choices":[{"delta":{"content":"Hello"}}]}\n\n`;
    expect(await textOf(body)).toBe("Hello");
  });
});

test("thoughts, tools, refusals, usage and the end are told by kind", async () => {
  const deltas = [
    { reasoning_content: "hm" },
    { content: [{ type: "thinking", thinking: "hm" }] },
    { tool_calls: [{ function: { name: "x" } }] },
    { refusal: "No." },
  ];
  const lines = deltas.map((delta) => `data: ${JSON.stringify({ choices: [{ delta }] })}\n\n`);
  const end = 'data: {"choices":[],"usage":{"input_tokens":3,"output_tokens":2}}\n\n';
  const stop = 'data: {"choices":[{"finish_reason":"eos"}]}\n\n';
  expect(await piecesOf(...lines, end, stop)).toEqual([
    { kind: "thought" },
    { kind: "thought" },
    { kind: "tool" },
    { kind: "refusal" },
    { kind: "usage", prompt: 3, completion: 2, cached: 0 },
    { kind: "finish", reason: "eos" },
  ]);
});
