import { expect, test } from "bun:test";
import { readTranscript } from "./transcript-answer.ts";

const FORMS: [form: string, body: string][] = [
  ["OpenAI's JSON", '{"text":"Hello there."}'],
  ["a leading space", '{"text":" Hello there."}'],
  ["plain text", "Hello there.\n"],
  ["plain text with a byte order mark", "\uFEFFHello there."],
  ["a JSON string", '"Hello there."'],
  ["verbose_json", '{"task":"transcribe","text":" Hello there.","segments":[{"text":" Hello"}]}'],
  ["segments alone", '{"segments":[{"text":" Hello"},{"text":" there."}]}'],
  ["no text but segments", '{"text":null,"segments":[{"text":"Hello there."}]}'],
  ["an array", '[{"text":"Hello"},{"text":"there."}]'],
  ["transcription", '{"transcription":"Hello there."}'],
  ["transcript", '{"transcript":"Hello there."}'],
  ["result", '{"result":"Hello there."}'],
  ["result with text", '{"success":true,"errors":[],"result":{"text":"Hello there."}}'],
  [
    "results in channels",
    '{"results":{"channels":[{"alternatives":[{"transcript":"Hello there.","confidence":1}]}]}}',
  ],
  ["an error that is null", '{"error":null,"text":"Hello there."}'],
  [
    "OpenAI's stream",
    'data: {"type":"transcript.text.delta","delta":"Hello"}\n\ndata: {"type":"transcript.text.delta","delta":" there."}\n\ndata: {"type":"transcript.text.done","text":"Hello there."}\n\ndata: [DONE]\n\n',
  ],
  [
    "a stream without its end",
    'data: {"type":"transcript.text.delta","delta":"Hello"}\r\n\r\ndata: {"type":"transcript.text.delta","delta":" there."}\r\n\r\n',
  ],
  [
    "a stream in the form of a chat",
    'data: {"object":"transcription.chunk","choices":[{"delta":{"content":" Hello"}}]}\n\ndata: {"choices":[{"delta":{"content":" there."}}]}\n\ndata: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
  ],
  ["a stream of segments", ': hi\nevent: x\ndata:{"text":"Hello"}\n\ndata:{"text":"there."}\n\n'],
  ["lines of JSON", '{"text":"Hello"}\n{"text":"there."}\n'],
  ["WebVTT", "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\nHello\n\n00:01.000 --> 00:02.000\nthere."],
  ["SRT", "1\r\n00:00:00,000 --> 00:00:01,000\r\nHello there.\r\n"],
  ["whisper.cpp's lines", "[00:00:00.000 --> 00:00:01.000]   Hello there."],
];

test.each(FORMS)("%s is read", (_, body) => {
  expect(readTranscript(body).text).toBe("Hello there.");
});

test.each([
  ["null", '{"text":null}'],
  ["an empty text", '{"text":""}'],
  ["nothing", ""],
  ["no segments", '{"segments":[]}'],
  [
    "a segment that the server takes for silence",
    '{"text":" you","segments":[{"text":" you","no_speech_prob":0.9,"avg_logprob":-1.4}]}',
  ],
])("%s is silence", (_, body) => {
  expect(readTranscript(body).text).toBe("");
});

test("only the segments with speech count where the server tells which have none", () => {
  const silent = '{"text":" Bye.","no_speech_prob":0.8,"avg_logprob":-1.2}';
  const spoken = '{"text":" Hello.","no_speech_prob":0.1,"avg_logprob":-0.2}';
  expect(readTranscript(`{"text":" Hello. Bye.","segments":[${spoken},${silent}]}`).text).toBe(
    "Hello.",
  );
});

test.each([
  ["an error object", '{"error":{"message":"model not loaded"}}'],
  ["an error text", '{"error":"out of memory"}'],
  ["FastAPI's detail", '{"detail":"Not Found"}'],
  ["an object without a text", '{"status":"ok"}'],
  ["HTML", "<!DOCTYPE html><html><body>Sign in</body></html>"],
  ["JSON that was cut", '{"text":"Hello th'],
  ["what is no text", "\uFFFD\u0003w\uFFFD\u001F~"],
])("%s is a fault of the answer", (_, body) => {
  expect(() => readTranscript(body)).toThrow("the provider");
});

test.each([
  ['{"text":"Guten Tag.","language":"german"}', "de"],
  ['{"text":"Guten Tag.","language":"de"}', "de"],
  ['{"text":"Guten Tag.","languages":[{"code":"de"}]}', "de"],
  ['{"result":{"text":"Guten Tag.","detected_language":"de"}}', "de"],
  ['{"text":"Guten Tag.","language":"unknown"}', undefined],
  ['{"text":"Guten Tag.","language":null}', undefined],
  ['{"text":"Guten Tag."}', undefined],
])("the language in %s is told", (body, language) => {
  expect(readTranscript(body)).toEqual({ text: "Guten Tag.", language });
});

test("numbers and words that merely look like JSON are words", () => {
  for (const text of ["42", "true", "null", "[BLANK_AUDIO]", "{noise}"]) {
    expect(readTranscript(text).text).toBe(text);
  }
});
