import { describe, expect, test } from "bun:test";
import { pcmOf, readWav, wav } from "../../src/lib/wav.ts";
import { throughOpus } from "../audio/opus.ts";
import { cough, loudness, speak } from "../audio/speech.ts";
import { type StandIn, startStandIn } from "./openai.ts";

const PHRASES = ["My name is Ada.", "What is my name?", "Tell me a story."];

function said(text: string): Int16Array {
  return throughOpus(speak(text, { rate: 48_000 }), 24_000);
}

async function transcribe(standIn: StandIn, pcm: Int16Array, signal?: AbortSignal) {
  const form = new FormData();
  form.set("file", new File([wav(pcm, 24_000)], "audio.wav", { type: "audio/wav" }));
  form.set("model", "whisper-1");
  form.set("response_format", "json");
  const url = `${standIn.url}/audio/transcriptions`;
  return fetch(url, { method: "POST", body: form, signal: signal ?? null });
}

function post(standIn: StandIn, path: string, body: unknown, init: RequestInit = {}) {
  const headers = { "content-type": "application/json", ...init.headers };
  const url = `${standIn.url}${path}`;
  return fetch(url, { method: "POST", body: JSON.stringify(body), ...init, headers });
}

function chat(standIn: StandIn, said: string[], more: object = {}, init: RequestInit = {}) {
  const messages = said.map((content) => ({ role: "user", content }));
  return post(standIn, "/chat/completions", { model: "gpt-4o-mini", messages, ...more }, init);
}

function say(standIn: StandIn, input: string, more: object = {}, init: RequestInit = {}) {
  const body = { model: "tts-1", voice: "alloy", response_format: "pcm", input, ...more };
  return post(standIn, "/audio/speech", body, init);
}

/** The data of server-sent events. */
function eventsOf(text: string): string[] {
  return text.split("\n\n").flatMap((event) => /^data: (.*)$/s.exec(event)?.[1] ?? []);
}

describe("transcriptions", () => {
  test("answer what the audio says", async () => {
    await using standIn = await startStandIn({ phrases: PHRASES });
    for (const phrase of PHRASES) {
      const response = await transcribe(standIn, said(phrase));
      expect(response.status).toBe(200);
      expect(await response.json()).toEqual({ text: phrase });
    }
    const silent = await transcribe(standIn, cough(300, 24_000));
    expect(await silent.json()).toEqual({ text: "" });
    const entry = await standIn.waitFor("stt", ({ text }) => text === "What is my name?");
    expect(entry).toMatchObject({ via: "http", model: "whisper-1", status: 200, outcome: "done" });
    // It understands faster than people speak, also on a busy machine.
    expect(entry.workMs).toBeLessThan(entry.audioMs ?? 0);
  });

  test("know phrases that are added later", async () => {
    await using standIn = await startStandIn();
    expect(await (await transcribe(standIn, said("Good morning."))).json()).toEqual({ text: "" });
    standIn.addPhrases("Good morning.");
    const second = await transcribe(standIn, said("Good morning."));
    expect(await second.json()).toEqual({ text: "Good morning." });
  });

  test("refuse what is not a WAV in a form", async () => {
    await using standIn = await startStandIn();
    expect((await post(standIn, "/audio/transcriptions", {})).status).toBe(400);
    const form = new FormData();
    form.set("file", new File(["not audio"], "audio.wav"));
    const url = `${standIn.url}/audio/transcriptions`;
    const response = await fetch(url, { method: "POST", body: form });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { type: "invalid_request_error" } });
  });
});

describe("chat", () => {
  test("remembers a name only through the messages", async () => {
    await using standIn = await startStandIn();
    const ask = async (...said: string[]) => {
      const answer = await (await chat(standIn, said)).json();
      return (answer as { choices: { message: { content: string } }[] }).choices[0]?.message
        .content;
    };
    expect(await ask("My name is Ada.", "What is my name?")).toBe("Your name is Ada.");
    expect(await ask("What is my name?")).toBe("You have not told me your name.");
    expect(await ask("How are you?")).toBe("You said: How are you?");
    standIn.reply = (messages) => `${messages.length} messages`;
    expect(await ask("a", "b")).toBe("2 messages");
  });

  test("streams word by word, with usage when asked for", async () => {
    await using standIn = await startStandIn();
    const options = { stream: true, stream_options: { include_usage: true } };
    const response = await chat(standIn, ["Hello there"], options);
    expect(response.headers.get("content-type")).toStartWith("text/event-stream");
    const events = eventsOf(await response.text());
    expect(events.at(-1)).toBe("[DONE]");
    const chunks = events.slice(0, -1).map((event) => JSON.parse(event) as Record<string, unknown>);
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { total_tokens: 6 } });
    const words = events.flatMap((event) => /"content":"([^"]+)"/.exec(event)?.[1] ?? []);
    expect(words).toEqual(["You", " said:", " Hello", " there"]);
    const plain = eventsOf(await (await chat(standIn, ["Hi"], { stream: true })).text());
    expect(plain.some((event) => event.includes("usage"))).toBe(false);
    const entry = await standIn.waitFor("llm", ({ outcome }) => outcome === "done");
    expect(entry.messages).toEqual([{ role: "user", content: "Hello there" }]);
  });

  test("notes a client that goes away", async () => {
    await using standIn = await startStandIn({ pace: { llm: 20 } });
    const client = new AbortController();
    const response = await chat(
      standIn,
      ["Tell me a story"],
      { stream: true },
      { signal: client.signal },
    );
    await response.body?.getReader().read();
    client.abort();
    const entry = await standIn.waitFor("llm", ({ outcome }) => outcome === "aborted");
    expect(entry.text).toStartWith("Once upon a time");
  });
});

describe("speech", () => {
  test("is really spoken, and streamed", async () => {
    await using standIn = await startStandIn({ prewarm: ["Your name is Ada."] });
    const response = await say(standIn, "Your name is Ada.");
    const pcm = pcmOf(await response.bytes());
    expect(pcm.length / 24_000).toBeWithin(0.7, 2.5);
    expect(loudness(pcm)).toBeGreaterThan(-30);
    const waved = await (
      await say(standIn, "Your name is Ada.", { response_format: "wav" })
    ).bytes();
    expect(readWav(waved)).toEqual({ pcm, rate: 24_000 });
    const other = pcmOf(await (await say(standIn, "Your name is Ada.", { voice: "onyx" })).bytes());
    expect(other).not.toEqual(pcm);
    expect((await say(standIn, "Hi", { response_format: "mp3" })).status).toBe(400);
  });

  test("notes a client that interrupts it", async () => {
    await using standIn = await startStandIn({ pace: { tts: 20 } });
    const client = new AbortController();
    const response = await say(
      standIn,
      "This takes a while to say.",
      {},
      { signal: client.signal },
    );
    await response.body?.getReader().read();
    client.abort();
    const entry = await standIn.waitFor("tts", ({ outcome }) => outcome === "aborted");
    expect(entry).toMatchObject({ text: "This takes a while to say.", voice: "alloy" });
  });
});

describe("when told so", () => {
  test("a stage answers late", async () => {
    await using standIn = await startStandIn({ delays: { llm: 2000 } });
    await (await chat(standIn, ["Hi"])).text();
    standIn.delays.llm = 0;
    await (await chat(standIn, ["Hi"])).text();
    const [late, quick] = standIn.requests.map(({ at, firstByteAt = 0 }) => firstByteAt - at);
    expect(late).toBeGreaterThanOrEqual(1999);
    expect(quick).toBeLessThan(1999);
  });

  test.each([401, 429, 500])(
    "a stage answers %d, so often, and then works again",
    async (status) => {
      await using standIn = await startStandIn();
      standIn.fail("tts", { kind: "status", status, retryAfterSeconds: 1 }, 2);
      for (let i = 0; i < 2; i++) {
        const response = await say(standIn, "Hi");
        expect(response.status).toBe(status);
        expect(response.headers.get("retry-after")).toBe("1");
        expect(await response.json()).toMatchObject({ error: { message: expect.any(String) } });
      }
      expect((await chat(standIn, ["Hi"])).status).toBe(200);
      expect((await say(standIn, "Hi")).status).toBe(200);
    },
  );

  test("a stage hangs until the client gives up", async () => {
    await using standIn = await startStandIn({ phrases: PHRASES });
    standIn.fail("stt", { kind: "hang" });
    const client = new AbortController();
    const request = transcribe(standIn, said("What is my name?"), client.signal);
    await standIn.waitFor("stt", ({ fault }) => fault === "hang");
    client.abort();
    await expect(request).rejects.toThrow();
    await standIn.waitFor("stt", ({ outcome }) => outcome === "aborted");
  });

  test("a stage cuts its stream half way", async () => {
    await using standIn = await startStandIn();
    standIn.fail("llm", { kind: "cut" });
    const response = await chat(standIn, ["Tell me a story"], { stream: true });
    expect(response.status).toBe(200);
    const received: string[] = [];
    const read = async () => {
      for await (const part of response.body ?? []) received.push(new TextDecoder().decode(part));
    };
    await expect(read()).rejects.toThrow();
    expect(received.join("")).toContain("Once");
    expect(received.join("")).not.toContain("home.");
    await standIn.waitFor("llm", ({ outcome }) => outcome === "failed");
  });

  test("a stage breaks the connection without an answer, until it is healed", async () => {
    await using standIn = await startStandIn();
    standIn.fail("llm", { kind: "refuse" }, Number.POSITIVE_INFINITY);
    await expect(chat(standIn, ["Hi"])).rejects.toThrow();
    await expect(chat(standIn, ["Hi"])).rejects.toThrow();
    standIn.heal();
    expect((await chat(standIn, ["Hi"])).status).toBe(200);
  });
});

describe("the server", () => {
  test("asks for its key, if it has one", async () => {
    await using standIn = await startStandIn({ apiKey: "secret" });
    const models = (authorization: string) =>
      fetch(`${standIn.url}/models`, { headers: { authorization } });
    expect((await models("Bearer secret")).status).toBe(200);
    expect((await models("Bearer wrong")).status).toBe(401);
    const refused = await chat(standIn, ["Hi"]);
    expect(await refused.json()).toMatchObject({ error: { code: "invalid_api_key" } });
    expect((await standIn.waitFor("llm")).status).toBe(401);
  });

  test("answers 404 elsewhere", async () => {
    await using standIn = await startStandIn();
    expect((await fetch(`${standIn.url}/nothing`)).status).toBe(404);
  });

  test("waits for an event no longer than told", async () => {
    await using standIn = await startStandIn();
    await expect(standIn.waitFor("tts", () => true, 20)).rejects.toThrow(
      "no fitting tts request in 20 ms",
    );
  });

  test("leaves no listener and no request behind", async () => {
    let url = "";
    let hanging: Promise<unknown> = Promise.resolve();
    {
      await using standIn = await startStandIn();
      url = standIn.url;
      standIn.fail("llm", { kind: "hang" });
      hanging = chat(standIn, ["Hi"]).then(
        ({ status }) => status,
        () => "broken",
      );
      await standIn.waitFor("llm", ({ fault }) => fault === "hang");
    }
    expect(await hanging).not.toBe(200);
    await expect(fetch(`${url}/models`)).rejects.toThrow();
  });
});
