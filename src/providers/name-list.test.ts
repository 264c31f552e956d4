import { describe, expect, test } from "bun:test";
import { modelsFor, readNames } from "./name-list.ts";

const names = (answer: unknown) => readNames(answer)?.entries.map(({ name }) => name);

describe("a list of names", () => {
  test.each([
    ["OpenAI's", { object: "list", data: [{ id: "a", object: "model" }, { id: "b" }] }],
    [
      "Ollama's own",
      {
        models: [
          { name: "a", model: "a" },
          { name: "b", model: "b" },
        ],
      },
    ],
    ["without an object around it", [{ id: "a" }, { id: "b" }]],
    ["of texts", ["a", "b"]],
    ["of texts in an object", { voices: ["a", "b"] }],
    [
      "with null fields",
      { object: "list", data: [{ id: "a", owned_by: null }, null, { id: "b" }] },
    ],
    ["with the name in another field", { data: [{ model: "a" }, { name: "b", id: null }] }],
    ["within a list", { data: { models: [{ id: "a" }, { id: "b" }] } }],
    ["with doubles", { data: [{ id: "a" }, { id: "a" }, { id: "b" }] }],
    ["by name", { voices: { a: { gender: "f" }, b: { gender: "m" } } }],
    [
      "of voices with their ids",
      [
        { voice_id: "a", name: "Anna" },
        { id: "b", name: "Bob" },
      ].map((v) => ("voice_id" in v ? { voice_id: v.voice_id } : v)),
    ],
    [
      "with names that nobody can use",
      { data: [{ id: "a" }, { id: "" }, { id: "x".repeat(300) }, { id: 7 }, { id: "b" }] },
    ],
  ])("%s is read", (_, answer) => {
    expect(names(answer)).toEqual(["a", "b"]);
  });

  test("may be empty", () => {
    expect(names({ object: "list", data: [] })).toEqual([]);
    expect(names({ object: "list", data: null })).toEqual([]);
    expect(names([])).toEqual([]);
  });

  test.each([
    [{ detail: "Not Found" }],
    [{ error: { message: "no" } }],
    [{}],
    ["<html>"],
    [null],
    [42],
  ])("is not %p", (answer) => {
    expect(readNames(answer)).toBeUndefined();
  });

  test("says where it goes on", () => {
    const next = (more: object) => readNames({ data: [{ id: "a b" }], ...more })?.next;
    expect(next({ has_more: true, last_id: "a b" })).toBe("?after=a%20b");
    expect(next({ has_more: true })).toBe("?after=a%20b");
    expect(next({ has_more: false, last_id: "a" })).toBeUndefined();
    expect(next({ nextPageToken: "x" })).toBe("?pageToken=x");
    expect(next({ next: "/v1/models?page=2" })).toBe("/v1/models?page=2");
    expect(next({ next: null })).toBeUndefined();
  });
});

describe("a stage", () => {
  const listed = (data: unknown[]) => readNames({ data })?.entries ?? [];

  test("is offered the models that are made for it", () => {
    const models = listed([
      { id: "llama3.2:latest" },
      { id: "nomic-embed-text" },
      { id: "Systran/faster-whisper-small" },
      { id: "speaches-ai/Kokoro-82M-v1.0-ONNX" },
      { id: "gpt-4o-mini-tts" },
      { id: "gpt-4o-mini-transcribe" },
      { id: "text-embedding-3-small" },
    ]);
    expect(modelsFor("llm", models)).toEqual(["llama3.2:latest"]);
    expect(modelsFor("stt", models)).toEqual([
      "Systran/faster-whisper-small",
      "gpt-4o-mini-transcribe",
    ]);
    expect(modelsFor("tts", models)).toEqual([
      "speaches-ai/Kokoro-82M-v1.0-ONNX",
      "gpt-4o-mini-tts",
    ]);
  });

  test("is offered what its server says, whatever the name", () => {
    const models = listed([
      { id: "one", type: "embeddings" },
      { id: "two", type: "llm" },
      { id: "three", task: "automatic-speech-recognition" },
      { id: "four", task: "text-to-speech" },
      { id: "whisper-of-the-llama", type: "llm" },
    ]);
    expect(modelsFor("llm", models)).toEqual(["two", "whisper-of-the-llama"]);
    expect(modelsFor("stt", models)).toEqual(["three"]);
    expect(modelsFor("tts", models)).toEqual(["four"]);
  });

  test("is offered models of unknown kind where none is known to be made for it", () => {
    expect(modelsFor("tts", listed([{ id: "en_US-amy-medium" }]))).toEqual(["en_US-amy-medium"]);
  });
});
