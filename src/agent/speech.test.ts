import { beforeAll, describe, expect, test } from "bun:test";
import { ReadableStream } from "node:stream/web";
import { initializeLogger, tts as ttss } from "@livekit/agents";
import { AudioFrame } from "@livekit/rtc-node";
import { type SpeechOptions, speak } from "./speech.ts";

const RATE = 24_000;
const SAY_NOTHING = "no sound";

/** A voice whose requests are answered when the test says so. */
class HeldVoice extends ttss.TTS {
  override label = "test.HeldVoice";
  readonly requests: HeldRequest[] = [];
  #waiting: (() => void)[] = [];

  constructor() {
    super(RATE, 1, { streaming: false });
  }

  override synthesize(...[text, options, signal]: Parameters<ttss.TTS["synthesize"]>) {
    const request = new HeldRequest(text, this, options, signal);
    this.requests.push(request);
    for (const wake of this.#waiting.splice(0)) wake();
    return request;
  }

  override stream(): never {
    throw new Error("not asked for");
  }

  /** Resolves when so many requests have come. */
  async asked(count: number): Promise<string[]> {
    while (this.requests.length < count) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return this.requests.map(({ inputText }) => inputText);
  }
}

class HeldRequest extends ttss.ChunkedStream {
  override label = "test.HeldRequest";
  readonly answer = Promise.withResolvers<void>();

  protected override async run(): Promise<void> {
    const aborted = new Promise((resolve) => this.abortSignal.addEventListener("abort", resolve));
    await Promise.race([this.answer.promise, aborted]);
    if (this.inputText !== SAY_NOTHING) {
      // The first sample tells which sentence it is.
      const frame = new AudioFrame(new Int16Array([this.inputText.length]), RATE, 1, 1);
      this.queue.put({ requestId: "", segmentId: "", frame, final: true });
    }
    this.queue.close();
  }

  get isAborted(): boolean {
    return this.abortSignal.aborted;
  }
}

beforeAll(() => initializeLogger({ pretty: false, level: "silent" }));

function speaking(text: ReadableStream<string>, isWanted = () => true) {
  const voice = new HeldVoice();
  const connOptions: SpeechOptions["connOptions"] = {
    ...{ maxRetry: 0, retryIntervalMs: 0, timeoutMs: 1000 },
  };
  const sound = speak(text, { tts: voice, language: "en", context: "", isWanted, connOptions });
  return { voice, sound };
}

function textOf(...chunks: string[]): ReadableStream<string> {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
}

async function heard(sound: ReadableStream<AudioFrame>): Promise<number[]> {
  const samples: number[] = [];
  for await (const { data } of sound) samples.push(...data);
  return samples;
}

describe("an answer is spoken", () => {
  test("in its order, whichever sentence the voice answers first", async () => {
    const { voice, sound } = speaking(textOf("One is. Two is it. ", "Three is here."));
    const hearing = heard(sound);
    const texts = await voice.asked(3);
    for (const request of voice.requests.toReversed()) request.answer.resolve();
    expect(await hearing).toEqual(texts.map(({ length }) => length));
  });

  test("with no more than two sentences ahead of the one that arrives", async () => {
    const { voice, sound } = speaking(
      textOf("One is. Two is. Three is. Four is. Five is. Six is."),
    );
    const hearing = heard(sound);
    expect(await voice.asked(3)).toEqual(["One is.", "Two is.", "Three is."]);
    voice.requests[0]?.answer.resolve();
    expect(await voice.asked(4)).toEqual(["One is.", "Two is.", "Three is.", "Four is."]);
    for (let count = 4; count <= 6; count++) {
      await voice.asked(count);
      for (const request of voice.requests) request.answer.resolve();
    }
    expect(await hearing).toHaveLength(6);
  });

  test("without a sentence that the voice fails to say", async () => {
    const { voice, sound } = speaking(textOf("Well. ", SAY_NOTHING));
    const hearing = heard(sound);
    await voice.asked(2);
    for (const request of voice.requests) request.answer.resolve();
    expect(await hearing).toEqual(["Well.".length]);
  });

  test("as far as it was written, if the model fails", async () => {
    const text = new ReadableStream<string>({
      start: (controller) => controller.enqueue("So it"),
      pull: (controller) => controller.error(new Error("the connection broke")),
    });
    const { voice, sound } = speaking(text);
    const hearing = heard(sound);
    expect(await voice.asked(1)).toEqual(["So it"]);
    voice.requests[0]?.answer.resolve();
    expect(await hearing).toHaveLength(1);
  });

  test("by no request if it has no word", async () => {
    const { voice, sound } = speaking(textOf("👍 ", "…"));
    expect(await heard(sound)).toEqual([]);
    expect(voice.requests).toEqual([]);
  });

  test("while it is written: a sentence does not wait for the next, nor for a pause to end", async () => {
    const { voice } = speaking(
      new ReadableStream({ start: (text) => text.enqueue("Hello there.") }),
    );
    expect(await voice.asked(1)).toEqual(["Hello there."]);
  });
});

test("what is left of an interrupted answer is not asked for", async () => {
  const isWritten = Promise.withResolvers<void>();
  let isWanted = true;
  const text = new ReadableStream<string>({
    start: (controller) => controller.enqueue("One is. Two"),
    async pull(controller) {
      await isWritten.promise;
      controller.close();
    },
  });
  const { voice, sound } = speaking(text, () => isWanted);
  const hearing = heard(sound);
  await voice.asked(1);
  isWanted = false;
  isWritten.resolve();
  voice.requests[0]?.answer.resolve();
  await hearing;
  expect(voice.requests).toHaveLength(1);
});

test("who stops listening ends all requests, also those of a text that never ends", async () => {
  const text = new ReadableStream<string>({ start: (one) => one.enqueue("One is. Two is. Thr") });
  const { voice, sound } = speaking(text);
  await voice.asked(2);
  await sound.cancel();
  expect(voice.requests.map(({ isAborted }) => isAborted)).toEqual([true, true]);
});
