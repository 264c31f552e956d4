import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type StandIn, startStandIn } from "../../test/stand-in/openai.ts";
import {
  answersInstead,
  noting,
  onlyFor,
  sends,
  sendsBytes,
  sendsOnly,
  sendsSilence,
} from "../../test/stand-in/quirks/tts.ts";
import { agentSpeech } from "../../test/stand-in/speech.ts";
import { pcmBytes, wavHeader } from "../lib/wav.ts";
import { createProviderClient } from "./provider-client.ts";
import { AnswerError, describeProviderError } from "./provider-errors.ts";
import { VoiceServer } from "./voice-server.ts";

const TEXT = "Good morning.";
const SPEECH = [...agentSpeech(TEXT, "alloy", 175)];
const AAC = sends("AAC", "livekit/agents-js#2320", { codec: "aac", container: "adts" });

let ai: StandIn;
beforeAll(async () => {
  ai = await startStandIn();
});
afterAll(() => ai[Symbol.asyncDispose]());

function server(): VoiceServer {
  const client = createProviderClient({ baseURL: ai.url, apiKey: undefined });
  return new VoiceServer({ client, model: "tts", voice: "alloy" });
}

async function spokenBy(voice: VoiceServer, text = TEXT) {
  const { format, pieces } = await voice.speak(text);
  const pcm: number[] = [];
  for await (const piece of pieces) pcm.push(...piece.pcm);
  return { format, pcm };
}

/** How many requests something took. */
async function requestsFor(work: () => Promise<unknown>): Promise<number> {
  const before = ai.requests.length;
  await work();
  return ai.requests.length - before;
}

test("an answer in another format is played, and the server is not asked again", async () => {
  ai.quirks = [
    sendsBytes("WAV", "mudler/LocalAI#2732", (pcm) => {
      return Buffer.concat([wavHeader(24_000), pcmBytes(pcm)]);
    }),
  ];
  const requests = await requestsFor(async () => {
    expect(await spokenBy(server())).toEqual({ format: "WAV", pcm: SPEECH });
  });
  expect(requests).toBe(1);
});

test("the first sound is there while the server still sends", async () => {
  const report = "speaches-ai/speaches#493";
  for (const encoding of [
    { codec: "pcm_s16le", container: "wav", rate: 48_000 },
    { codec: "libmp3lame", container: "mp3" },
  ]) {
    const more = Promise.withResolvers<void>();
    ai.quirks = [sends("a slow sound", report, encoding, { cuts: [3000], until: more.promise })];
    const { pieces } = await server().speak(TEXT);
    const { value: begin } = await pieces.next();
    more.resolve();
    let samples = begin?.pcm.length ?? 0;
    expect(samples).toBeGreaterThan(0);
    for await (const { pcm } of pieces) samples += pcm.length;
    const expected = (SPEECH.length * (begin?.rate ?? 0)) / 24_000;
    expect(Math.abs(samples - expected)).toBeLessThan(20);
  }
});

describe("a server that cannot send what it is asked for", () => {
  const refusals: [string, number, readonly string[], string][] = [
    ["WAV", 400, ["wav"], "Only response_format 'wav' is supported for this model and voice"],
    ["WAV", 422, ["mp3", "wav"], "value is not a valid enumeration member"],
    ["WAV", 500, ["wav"], "KeyError: unknown format pcm"],
    ["WAV", 500, ["wav"], "Internal Server Error"],
  ];
  for (const [format, status, formats, message] of refusals) {
    test(`is asked for another once, after ${status} “${message}”`, async () => {
      ai.quirks = [sendsOnly(formats, status, message)];
      const voice = server();
      expect(await spokenBy(voice)).toEqual({ format, pcm: SPEECH });
      // The one that works is remembered.
      expect(await requestsFor(() => spokenBy(voice))).toBe(1);
    });
  }

  test("may be refused itself: AAC is not played, and asked about in other formats", async () => {
    ai.quirks = [onlyFor("pcm", AAC)];
    expect(await spokenBy(server())).toEqual({ format: "WAV", pcm: SPEECH });
    ai.quirks = [AAC];
    const voice = server();
    const failure = await spokenBy(voice).catch((error) => error);
    expect(failure).toBeInstanceOf(AnswerError);
    expect([failure.fault, failure.detail]).toEqual(["format", " (AAC)"]);
    // Nothing helped, so later sentences cost one request each.
    expect(await requestsFor(() => spokenBy(voice).catch(() => {}))).toBe(1);
  });

  test("is not asked for formats when it does not know the voice", async () => {
    const asked: string[] = [];
    ai.quirks = [noting(asked), sendsOnly([], 400, "Voice 'alloy' not found")];
    expect(await spokenBy(server()).catch(({ status }) => status)).toBe(400);
    expect(asked).toEqual(["pcm"]);
  });
});

describe("what is no speech is a fault of the answer", () => {
  const report = "livekit/agents-js#2320";
  const json = "application/json";
  const quirks = {
    error_body: answersInstead("an error", report, '{"error":{"message":"no"}}', json),
    format: answersInstead("a sentence", report, "Voice not found, sorry.", "text/plain"),
    empty: answersInstead("nothing", "ServeurpersoCom/qwentts.cpp#28", "", "audio/pcm"),
    silent: sendsSilence,
  };
  for (const [fault, quirk] of Object.entries(quirks)) {
    test(quirk.name, async () => {
      ai.quirks = [quirk];
      const failure = await spokenBy(server()).catch((error) => error);
      expect(failure).toBeInstanceOf(AnswerError);
      expect(failure.fault).toBe(fault);
    });
  }

  test("a web page is the sign of a wrong address", async () => {
    const page = "<html>Bad gateway</html>";
    ai.quirks = [answersInstead("HTML", "maneja81/OpenOrbit#30", page, "text/html")];
    const failure = await spokenBy(server()).catch((error) => error);
    expect(describeProviderError("tts", failure).message).toContain(
      "a web page. Check TTS_BASE_URL",
    );
  });

  test("but nothing is right for a text without words", async () => {
    ai.quirks = [sendsSilence];
    expect((await spokenBy(server(), "… 🙂")).pcm.every((sample) => sample === 0)).toBe(true);
    ai.quirks = [quirks.empty];
    expect((await spokenBy(server(), "…")).pcm).toHaveLength(0);
  });
});

test("the silence before the first word stays as long as it is", async () => {
  const pause = new Uint8Array(24_000);
  ai.quirks = [
    sendsBytes("half a second of silence first", "gptme/gptme#420", (pcm) =>
      Buffer.concat([pause, pcmBytes(pcm)]),
    ),
  ];
  expect((await spokenBy(server())).pcm).toHaveLength(12_000 + SPEECH.length);
});
