// `npm run test:hearing`: a hundred sentences, spoken by the voice of the tests and understood by its
// recogniser through the real engine. First one by one, then in recordings of a minute without a
// pause between sentences, which force cuts and joints. It takes about three minutes.
import { testModels } from "../../scripts/test-models.ts";
import { readWav, wav } from "../../src/lib/wav.ts";
import { engineProgram } from "../engine.ts";
import { plainWords, wordErrors } from "../word-errors.ts";
import { SENTENCES, withoutSilence } from "./sentences.ts";

/** One and a half times what was measured. */
const BOUNDS = { alone: 0.036, joined: 0.051 };
/** Sentences in one recording. */
const JOINED = 20;

const { stt, tts } = await testModels();
await using engine = await engineProgram([stt, tts]);
const headers = { Authorization: `Bearer ${engine.apiKey}` };

async function spoken(input: string) {
  const body = JSON.stringify({ model: tts.id, voice: "alloy", input, response_format: "wav" });
  const response = await fetch(`${engine.baseURL}/audio/speech`, {
    method: "POST",
    headers: { ...headers, "Content-Type": "application/json" },
    body,
  });
  return readWav(await response.bytes());
}

async function heard(pcm: Int16Array, rate: number): Promise<string> {
  const form = new FormData();
  form.append("model", stt.id);
  form.append("response_format", "text");
  form.append("file", new File([wav(pcm, rate)], "speech.wav"));
  const response = await fetch(`${engine.baseURL}/audio/transcriptions`, {
    method: "POST",
    headers,
    body: form,
  });
  if (!response.ok) throw new Error(await response.text());
  return response.text();
}

const total = { words: 0, alone: 0, joined: 0 };

function report(kind: string, expected: string, actual: string): number {
  const errors = wordErrors(expected, actual);
  if (errors > 0)
    console.log(`${kind}: ${errors} wrong\n  said  ${expected}\n  heard ${actual.trim()}`);
  return errors;
}

for (let at = 0; at < SENTENCES.length; at += JOINED) {
  const sentences = SENTENCES.slice(at, at + JOINED);
  const parts: Int16Array[] = [];
  let rate = 0;
  for (const sentence of sentences) {
    const sound = await spoken(sentence);
    rate = sound.rate;
    total.words += plainWords(sentence).length;
    total.alone += report("alone", sentence, await heard(sound.pcm, rate));
    parts.push(withoutSilence(sound.pcm));
  }
  const joined = Int16Array.from(parts.flatMap((part) => [...part]));
  const text = sentences.join(" ");
  total.joined += report(
    `joined, ${Math.round(joined.length / rate)} s`,
    text,
    await heard(joined, rate),
  );
}

const rates = { alone: total.alone / total.words, joined: total.joined / total.words };
for (const kind of ["alone", "joined"] as const) {
  console.log(
    `word error rate ${kind}: ${rates[kind].toFixed(4)} (${total[kind]} of ${total.words} words; ` +
      `at most ${BOUNDS[kind]})`,
  );
}
if (rates.alone > BOUNDS.alone || rates.joined > BOUNDS.joined) process.exitCode = 1;
