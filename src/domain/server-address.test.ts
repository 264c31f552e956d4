import { expect, test } from "bun:test";
import { apiAddresses, serverAddress } from "./server-address.ts";

test.each([
  ["http://127.0.0.1:11434", "http://127.0.0.1:11434"],
  ["http://127.0.0.1:11434/", "http://127.0.0.1:11434"],
  ["http://127.0.0.1:11434/v1//", "http://127.0.0.1:11434/v1"],
  ["http://127.0.0.1:11434/v1/chat/completions", "http://127.0.0.1:11434/v1"],
  ["http://127.0.0.1:11434/v1/chat/completions/", "http://127.0.0.1:11434/v1"],
  ["http://127.0.0.1:11434/v1/models", "http://127.0.0.1:11434/v1"],
  ["http://127.0.0.1:11434/v1/models/llama3.2", "http://127.0.0.1:11434/v1"],
  ["http://h:8880/v1/audio/speech", "http://h:8880/v1"],
  ["http://h:8880/v1/audio/voices", "http://h:8880/v1"],
  ["http://h:8000/v1/audio/transcriptions", "http://h:8000/v1"],
  ["http://h:8000/v1/audio", "http://h:8000/v1"],
  ["ws://h:8000/v1/realtime", "http://h:8000/v1"],
  ["wss://h/v1/realtime", "https://h/v1"],
  ["localhost:11434", "http://localhost:11434"],
  ["192.168.1.5:8000/v1", "http://192.168.1.5:8000/v1"],
  ["[::1]:8000/v1", "http://[::1]:8000/v1"],
  ["nas/v1", "http://nas/v1"],
  ["nas.local", "http://nas.local"],
  ["api.groq.com/openai/v1", "https://api.groq.com/openai/v1"],
  ["HTTP://LocalHost:11434/V1/Chat/Completions", "http://localhost:11434/V1"],
  ["http://0.0.0.0:8880/v1", "http://127.0.0.1:8880/v1"],
  ['  "http://127.0.0.1:1234/v1" ', "http://127.0.0.1:1234/v1"],
  ["https://h//v1", "https://h/v1"],
  ["https://generativelanguage.googleapis.com/v1beta/openai/", undefined],
])("%s is the server %s", (written, address) => {
  expect(serverAddress(written)).toBe(address ?? written.replace(/\/$/, ""));
});

test.each(["ftp://h/v1", "file:///etc/passwd", "javascript:alert(1)", "http:", "", "my server"])(
  "%p is no server's address",
  (written) => {
    expect(serverAddress(written)).toBeUndefined();
  },
);

test("without a path, the usual place is tried first", () => {
  expect(apiAddresses("http://h:1").slice(0, 2)).toEqual(["http://h:1/v1", "http://h:1"]);
});

test("an address with a version is taken as it is before anything else is tried", () => {
  expect(apiAddresses("http://h:1/openai/v1")[0]).toBe("http://h:1/openai/v1");
  expect(apiAddresses("http://h:1/V1").slice(0, 2)).toEqual(["http://h:1/V1", "http://h:1/v1"]);
  expect(apiAddresses("https://h/v1beta")).toContain("https://h/v1beta/openai");
});

test("another path is tried with a version after it, and Ollama's own API leads to OpenAI's", () => {
  const found = apiAddresses("http://h:11434/api");
  expect(found.slice(0, 2)).toEqual(["http://h:11434/api", "http://h:11434/api/v1"]);
  expect(found).toContain("http://h:11434/v1");
});
