import { describe, expect, test } from "bun:test";
import { pcmBytes } from "../../src/lib/wav.ts";
import { throughOpus } from "../audio/opus.ts";
import { speak } from "../audio/speech.ts";
import { type StandIn, startStandIn } from "./openai.ts";

const PHRASES = ["My name is Ada.", "I would like to book a table for two people."];
const DELTA = "conversation.item.input_audio_transcription.delta";
const COMPLETED = "conversation.item.input_audio_transcription.completed";

interface ServerEvent {
  type: string;
  item_id?: string;
  delta?: string;
  transcript?: string;
  error?: { code: string; message: string };
}

/** A client that keeps what it received and waits for what it wants. */
class Client implements AsyncDisposable {
  readonly events: ServerEvent[] = [];
  readonly closed: Promise<void>;
  readonly #socket: WebSocket;
  #changed: () => void = () => {};

  constructor(standIn: StandIn) {
    const url = `${standIn.url.replace("http:", "ws:")}/realtime?intent=transcription&model=m`;
    this.#socket = new WebSocket(url);
    this.#socket.onmessage = ({ data }) => {
      this.events.push(JSON.parse(String(data)) as ServerEvent);
      this.#changed();
    };
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.#socket.onclose = () => resolve();
  }

  send(type: string, more: object = {}): void {
    this.#socket.send(JSON.stringify({ type, ...more }));
  }

  /** Sends audio (24 kHz) in pieces of 50 ms. */
  speak(pcm: Int16Array): void {
    for (let at = 0; at < pcm.length; at += 1200) {
      const audio = Buffer.from(pcmBytes(pcm.subarray(at, at + 1200))).toString("base64");
      this.send("input_audio_buffer.append", { audio });
    }
  }

  of(type: string): ServerEvent[] {
    return this.events.filter((event) => event.type === type);
  }

  async event(type: string, count = 1): Promise<ServerEvent> {
    for (;;) {
      const found = this.of(type)[count - 1];
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await this.closed;
  }
}

/** Waits for the session, and sets it up as the plugin of LiveKit does. */
async function open(standIn: StandIn, turn_detection: object | null = null): Promise<Client> {
  const client = new Client(standIn);
  await client.event("session.created");
  const input = {
    format: { type: "audio/pcm", rate: 24_000 },
    transcription: { model: "gpt-realtime-whisper", language: "en" },
    turn_detection,
  };
  client.send("session.update", { session: { type: "transcription", audio: { input } } });
  await client.event("session.updated");
  return client;
}

function said(...texts: string[]): Int16Array {
  const gap = new Int16Array(48 * 700);
  const parts = texts.flatMap((text) => [gap, speak(text, { rate: 48_000 }), gap]);
  return throughOpus(Int16Array.from(parts.flatMap((part) => [...part])), 24_000);
}

describe("realtime transcription", () => {
  test("sends words while the audio arrives, and the whole after the commit", async () => {
    await using standIn = await startStandIn({ phrases: PHRASES });
    await using client = await open(standIn);
    client.speak(said("I would like to book a table for two people."));
    await client.event(DELTA, 5);
    expect(client.of(COMPLETED)).toHaveLength(0);
    client.send("input_audio_buffer.commit");
    const { item_id, transcript } = await client.event(COMPLETED);
    expect(transcript).toBe("I would like to book a table for two people.");
    const deltas = client.of(DELTA);
    expect(deltas.map(({ delta }) => delta).join("")).toBe(String(transcript));
    expect(new Set(deltas.map((event) => event.item_id))).toEqual(new Set([item_id]));
    expect((await client.event("input_audio_buffer.committed")).item_id).toBe(String(item_id));
    const entry = await standIn.waitFor("stt", ({ outcome }) => outcome === "done");
    expect(entry).toMatchObject({ via: "realtime", model: "gpt-realtime-whisper" });
    expect(entry.deltas?.length).toBe(deltas.length);
  });

  test("keeps the items apart", async () => {
    await using standIn = await startStandIn({ phrases: PHRASES });
    await using client = await open(standIn);
    for (const phrase of PHRASES) {
      client.speak(said(phrase));
      client.send("input_audio_buffer.commit");
    }
    const [first, second] = [await client.event(COMPLETED, 1), await client.event(COMPLETED, 2)];
    expect([first.transcript, second.transcript]).toEqual(PHRASES);
    expect(first.item_id).not.toBe(second.item_id);
  });

  test("commits by itself with server_vad", async () => {
    await using standIn = await startStandIn({ phrases: PHRASES });
    await using client = await open(standIn, { type: "server_vad", silence_duration_ms: 350 });
    client.speak(said(...PHRASES));
    await client.event(COMPLETED, 2);
    expect(client.of(COMPLETED).map(({ transcript }) => transcript)).toEqual(PHRASES);
    const kinds = client.events.map(({ type }) => type).filter((type) => type !== DELTA);
    const turn = ["speech_started", "speech_stopped", "committed"];
    expect(kinds.filter((type) => type.startsWith("input_audio_buffer."))).toEqual(
      [...turn, ...turn].map((kind) => `input_audio_buffer.${kind}`),
    );
  });

  test("says nothing about silence, and refuses an empty commit", async () => {
    await using standIn = await startStandIn({ phrases: PHRASES });
    await using client = await open(standIn);
    client.send("input_audio_buffer.commit");
    expect((await client.event("error")).error?.code).toBe("input_audio_buffer_commit_empty");
    client.speak(new Int16Array(24_000));
    client.send("input_audio_buffer.commit");
    expect((await client.event(COMPLETED)).transcript).toBe("");
    client.send("something.else");
    expect((await client.event("error", 2)).error?.code).toBe("invalid_event");
  });
});

describe("a realtime connection", () => {
  test("can be switched off: 404 before the upgrade", async () => {
    await using standIn = await startStandIn({ realtime: false });
    expect((await fetch(`${standIn.url}/realtime`)).status).toBe(404);
    standIn.realtime = true;
    expect((await fetch(`${standIn.url}/realtime`)).status).toBe(426);
  });

  test("meets faults at the upgrade and at a commit", async () => {
    await using standIn = await startStandIn({ phrases: PHRASES });
    standIn.fail("stt", { kind: "status", status: 401 });
    await new Client(standIn).closed;
    expect((await standIn.waitFor("stt")).status).toBe(401);
    await using client = await open(standIn);
    standIn.fail("stt", { kind: "status", status: 429 });
    standIn.fail("stt", { kind: "cut" });
    client.speak(said("My name is Ada."));
    client.send("input_audio_buffer.commit");
    expect((await client.event("error")).error?.code).toBe("rate_limit_exceeded");
    client.speak(said("My name is Ada."));
    client.send("input_audio_buffer.commit");
    await client.closed;
    expect(client.of(COMPLETED)).toHaveLength(0);
    await standIn.waitFor("stt", ({ fault }) => fault === "cut");
  });

  test("ends with the stand-in", async () => {
    const standIn = await startStandIn({ phrases: PHRASES });
    const client = await open(standIn);
    expect(standIn.realtimeConnections).toBe(1);
    await standIn[Symbol.asyncDispose]();
    await client.closed;
    expect(standIn.realtimeConnections).toBe(0);
  });
});
