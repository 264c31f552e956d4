import { afterAll, beforeAll, expect, test } from "bun:test";
import { stt } from "@livekit/agents";
import { AudioFrame } from "@livekit/rtc-node";
import { speak } from "../../test/audio/speech.ts";
import { TcpProxy } from "../../test/e2e/tcp-proxy.ts";
import { within } from "../../test/e2e/wait.ts";
import { loadSharedParts } from "../../test/shared-parts.ts";
import { type StandIn, startStandIn } from "../../test/stand-in/openai.ts";
import { closesInSilence } from "../../test/stand-in/quirks/realtime.ts";
import { createPipeline, type Pipeline, type SharedParts } from "./pipeline.ts";

const FIRST = "My name is Ada.";
const SECOND = "What is the weather like today?";
const THIRD = "Where is the station?";
const RATE = 24_000;
const FRAME = RATE / 50;

let shared: SharedParts;

beforeAll(async () => {
  shared = await loadSharedParts();
});
afterAll(() => shared.vadModel.release());

/** A person at a microphone whose speech is transcribed in real time, and what comes of it. */
class Person implements AsyncDisposable {
  readonly finals: string[] = [];
  /** Errors and notices: whatever disturbs the person. */
  readonly disturbances: string[] = [];
  readonly switches: string[] = [];
  readonly ai: StandIn;
  /** The way to the server. */
  readonly way: TcpProxy;
  readonly #pipeline: Pipeline;
  readonly #stream: stt.SpeechStream;
  readonly #microphone: ReturnType<typeof setInterval>;
  readonly #ended: Promise<void>;
  #samples: Int16Array = new Int16Array();
  #said = Promise.withResolvers<void>();
  #heard = Promise.withResolvers<void>();

  private constructor(ai: StandIn, way: TcpProxy, byRequest: string | undefined) {
    this.ai = ai;
    this.way = way;
    const server = { baseURL: `${way.url}/v1`, apiKey: undefined, model: "m" };
    const onSwitch = (why: string) => this.switches.push(why);
    const requests = byRequest === undefined ? undefined : { model: byRequest, onSwitch };
    this.#pipeline = createPipeline(
      {
        language: "en",
        keyterms: [],
        stt: { ...server, realtime: true, requests },
        llm: server,
        tts: { ...server, voice: "alloy" },
        onNotice: ({ code }) => this.disturbances.push(code),
      },
      shared,
    );
    this.#pipeline.stt.on("error", ({ error }) => this.disturbances.push(error.message));
    this.#stream = this.#pipeline.stt.stream();
    this.#microphone = setInterval(() => this.#pushFrame(), 20);
    this.#ended = this.#listen();
  }

  /** @param byRequest the model for requests; none where only realtime transcription is allowed */
  static async speaking({ byRequest }: { byRequest?: string } = {}): Promise<Person> {
    const ai = await startStandIn({ phrases: [FIRST, SECOND, THIRD] });
    const way = await TcpProxy.to(ai.url);
    return new Person(ai, way, byRequest);
  }

  /** Says a text; resolves when the last word is said. */
  say(text: string): Promise<void> {
    this.#said = Promise.withResolvers();
    this.#samples = speak(text, { rate: RATE });
    return this.#said.promise;
  }

  /** Waits until that many turns are transcribed. */
  async turns(count: number): Promise<void> {
    while (this.finals.length < count) {
      this.#heard = Promise.withResolvers();
      await within("a final", this.#heard.promise, () => this, 50_000);
    }
  }

  /** Whether the stream has ended. */
  async hasEnded(): Promise<boolean> {
    return Promise.race([this.#ended.then(() => true), Bun.sleep(1).then(() => false)]);
  }

  #pushFrame(): void {
    const frame = new Int16Array(FRAME);
    frame.set(this.#samples.subarray(0, FRAME));
    this.#samples = this.#samples.subarray(FRAME);
    if (this.#samples.length === 0) this.#said.resolve();
    this.#stream.pushFrame(new AudioFrame(frame, RATE, 1, FRAME));
  }

  async #listen(): Promise<void> {
    for await (const event of this.#stream) {
      if (event.type !== stt.SpeechEventType.FINAL_TRANSCRIPT) continue;
      this.finals.push(event.alternatives?.[0]?.text ?? "");
      this.#heard.resolve();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#microphone);
    await this.#pipeline.close();
    await this.way[Symbol.asyncDispose]();
    await this.ai[Symbol.asyncDispose]();
  }
}

const MODES = [{}, { byRequest: "by-request" }];

test.concurrent.each(MODES)(
  "an outage in silence is quiet, also before the first word: %j",
  async (mode) => {
    await using person = await Person.speaking(mode);
    person.way.cut();
    await Bun.sleep(4000);
    person.way.repair();
    await person.say(FIRST);
    await person.turns(1);
    person.way.cut();
    await Bun.sleep(4000);
    expect(await person.hasEnded()).toBe(false);
    person.way.repair();
    await person.say(SECOND);
    await person.turns(2);
    const { finals, disturbances, switches } = person;
    expect({ finals, disturbances, switches }).toEqual({
      finals: [FIRST, SECOND],
      disturbances: [],
      switches: [],
    });
  },
  60_000,
);

test.concurrent.each(MODES)(
  "no word of an outage is lost, whenever it begins and ends: %j",
  async (mode) => {
    await using person = await Person.speaking(mode);
    await person.say(FIRST);
    await person.turns(1);
    const saying = person.say(SECOND);
    // In the middle of the sentence the server goes away, and it returns in that of the next.
    await Bun.sleep(700);
    person.way.cut();
    await saying;
    await Bun.sleep(4000);
    const next = person.say(THIRD);
    await Bun.sleep(500);
    person.way.repair();
    await next;
    await person.turns(2);
    await Bun.sleep(3000);
    expect(person.finals.join(" ")).toBe([FIRST, SECOND, THIRD].join(" "));
    // A notice may say that the words wait.
    expect(person.disturbances.filter((one) => one !== "stt_reconnecting")).toEqual([]);
    expect(person.switches).toEqual([]);
  },
  60_000,
);

test.concurrent("a server that closes again and again in silence disturbs nobody", async () => {
  await using person = await Person.speaking();
  person.ai.realtimeDialect = closesInSilence;
  await Bun.sleep(3000);
  await person.say(FIRST);
  await person.turns(1);
  await Bun.sleep(3000);
  await person.say(SECOND);
  await person.turns(2);
  expect(person.finals).toEqual([FIRST, SECOND]);
  expect(person.disturbances).toEqual([]);
}, 60_000);

test.concurrent("when realtime transcription alone is away for long, requests take over with the words", async () => {
  await using person = await Person.speaking({ byRequest: "by-request" });
  await person.say(FIRST);
  await person.turns(1);
  person.ai.realtime = false;
  person.way.cut();
  person.way.repair();
  await person.say(SECOND);
  await person.turns(2);
  expect(person.finals).toEqual([FIRST, SECOND]);
  expect(person.switches).toHaveLength(1);
  expect(person.disturbances.filter((one) => one !== "stt_reconnecting")).toEqual([]);
}, 60_000);

test.concurrent("a connection whose other end is gone without a word costs no word", async () => {
  await using person = await Person.speaking();
  await person.say(FIRST);
  await person.turns(1);
  person.way.freeze();
  await person.say(SECOND);
  await person.turns(2);
  expect(person.finals).toEqual([FIRST, SECOND]);
}, 60_000);
