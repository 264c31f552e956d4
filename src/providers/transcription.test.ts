import { expect, test } from "bun:test";
import { speak } from "../../test/audio/speech.ts";
import { startStandIn } from "../../test/stand-in/openai.ts";
import { FORMS, hears } from "../../test/stand-in/quirks/stt.ts";
import { wav } from "../lib/wav.ts";
import { createProviderClient } from "./provider-client.ts";
import { Transcriber, type TranscriberOptions } from "./transcription.ts";

const AUDIO = wav(new Int16Array(1600), 16_000);
const NEVER = new AbortController().signal;

interface Asked {
  fields: Record<string, string>;
}

/** A server that answers as the test wants, and keeps what it was asked. */
function startServer(answer: (asked: Asked) => Response | Promise<Response>) {
  const asked: Asked[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    async fetch(request) {
      const form = await request.formData();
      const fields = Object.fromEntries(
        [...form].filter((entry): entry is [string, string] => typeof entry[1] === "string"),
      );
      const one = { fields };
      asked.push(one);
      return answer(one);
    },
  });
  return {
    asked,
    url: `http://127.0.0.1:${server.port}/v1`,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

function transcriberOf(baseURL: string, options: Partial<TranscriberOptions> = {}): Transcriber {
  return new Transcriber({
    client: createProviderClient({ baseURL, apiKey: undefined }),
    model: "whisper",
    language: null,
    keyterms: [],
    refused: new Set(),
    ...options,
  });
}

const hello = () => Response.json({ text: "Hello." });

test.each(FORMS.map((quirk) => [quirk.name, quirk] as const))(
  "what was said is read from %s, whatever it says",
  async (_, form) => {
    const said = "Tell me a long story.";
    await using ai = await startStandIn({ phrases: [said] });
    const audio = wav(speak(said, { rate: 16_000 }), 16_000);
    for (const words of [said, "{noise}", "", "42", 'the "quoted" words', "今日は。"]) {
      ai.quirks = [form, hears(() => words)];
      const { text } = await transcriberOf(ai.url).transcribe(audio, NEVER);
      expect({ form: form.name, text }).toEqual({ form: form.name, text: words });
    }
  },
);

test("a request names the model, the language and the words to expect", async () => {
  await using server = startServer(hello);
  const transcriber = transcriberOf(server.url, { language: "de", keyterms: ["Parley", "Köln"] });
  expect(await transcriber.transcribe(AUDIO, NEVER)).toEqual({ text: "Hello." });
  expect(server.asked[0]?.fields).toEqual({
    model: "whisper",
    response_format: "json",
    language: "de",
    prompt: "Parley, Köln.",
  });
});

test.each([
  ["the prompt", ["prompt"], { language: "de" }],
  ["the language", ["language"], {}],
  ["both", ["prompt", "language"], {}],
])("a model that refuses %s is asked without it, from then on", async (_, refused, left) => {
  await using server = startServer(({ fields }) =>
    refused.some((name) => name in fields)
      ? Response.json({ error: { message: "not supported" } }, { status: 400 })
      : hello(),
  );
  const options = { language: "de", keyterms: ["Parley"], refused: new Set<string>() };
  await transcriberOf(server.url, options).transcribe(AUDIO, NEVER);
  const first = server.asked.length;
  await transcriberOf(server.url, options).transcribe(AUDIO, NEVER);
  expect(server.asked).toHaveLength(first + 1);
  const { model: _model, response_format: _format, ...fields } = server.asked.at(-1)?.fields ?? {};
  expect(fields).toEqual(left);
});

test("a refusal that has another reason is told", async () => {
  await using server = startServer(() => Response.json({ error: "no" }, { status: 400 }));
  const transcriber = transcriberOf(server.url, { language: "de", keyterms: ["Parley"] });
  const error = await transcriber.transcribe(AUDIO, NEVER).catch((thrown) => thrown);
  expect(error).toHaveProperty("status", 400);
  expect(server.asked).toHaveLength(3);
});
