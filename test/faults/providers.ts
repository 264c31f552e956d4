import type { Envelope } from "../../src/domain/transcript.ts";
import { speak } from "../audio/speech.ts";
import { LiveKitChild } from "../e2e/livekit-child.ts";
import { within } from "../e2e/wait.ts";
import { type Parley, providerEnv, startParley } from "../parley.ts";
import type { Fault as ProviderFault, Stage } from "../stand-in/faults.ts";
import { type StandIn, startStandIn } from "../stand-in/openai.ts";
import type { Quirk } from "../stand-in/quirks.ts";
import { Conversation, lostIn, seenIn } from "./conversation.ts";
import type { Cell, Fault, Outcome } from "./fault.ts";

// Each stage of a turn meets each fault of a provider: the person learns why, and the next turn works
// once the provider does.

const PHRASE = "Hello there.";
const RATE = 48_000;
/** Of silence; who speaks the moment a connection stands is not heard from the first word on. */
const HALF_A_SECOND = new Int16Array(RATE / 2);
/** How long a person waits for news, at most, ms. */
const NEWS_MS = 60_000;
const DRIP_MS = 1000;
const GARBAGE_BYTES = 5000;

const STAGES: Record<Stage, string> = {
  stt: "speech recognition",
  llm: "the language model",
  tts: "the voice",
};

const FAULTS: Record<string, (provider: Provider) => Promise<void>> = {
  "refuses connections": (provider) => provider.stop(),
  "refuses the key (401)": (provider) => provider.fail({ kind: "status", status: 401 }),
  "is over its limit (429)": (provider) => provider.fail({ kind: "status", status: 429 }),
  "breaks (500)": (provider) => provider.fail({ kind: "status", status: 500 }),
  hangs: (provider) => provider.fail({ kind: "hang" }),
  "sends one byte a second": (provider) => provider.deviate(drip),
  "is cut off in mid-answer": (provider) => provider.fail({ kind: "cut" }),
  "sends garbage": (provider) => provider.deviate(() => crypto.getRandomValues(garbage())),
};

export const faults: Fault[] = [
  { what: "a provider fails", deadlineMs: 400_000, run: failAllStages },
];

/** The stages fail at the same time, each in a Parley of its own, since most of it is waiting. */
async function failAllStages(): Promise<Cell[]> {
  await using opening = new AsyncDisposableStack();
  const livekit = opening.use(new LiveKitChild());
  await livekit.start();
  const good = opening.use(await startStandIn({ phrases: [PHRASE], realtime: false }));
  const stages = Object.keys(STAGES) as Stage[];
  const cells = stages.map(async (stage): Promise<Cell[]> => {
    await using provider = await Provider.of(stage);
    const env = {
      ...providerEnv(good.url, false),
      ...livekit.env,
      [`${stage.toUpperCase()}_BASE_URL`]: provider.url,
      [`${stage.toUpperCase()}_API_KEY`]: "test-key",
    };
    await using parley = await startParley({ env });
    const tried: Cell[] = [];
    for (const [fault, fail] of Object.entries(FAULTS)) {
      const outcome = await failing(parley, provider, fail).catch((error: unknown) =>
        error instanceof Error ? error : new Error(String(error)),
      );
      await provider.heal();
      tried.push({ what: `${STAGES[stage]} ${fault}`, outcome });
    }
    return tried;
  });
  return (await Promise.all(cells)).flat();
}

async function failing(
  parley: Parley,
  provider: Provider,
  fail: (provider: Provider) => Promise<void>,
): Promise<Outcome> {
  await using conversation = await Conversation.begin(parley, { joined: true });
  const { stage } = provider;
  await conversation.caller?.listenedTo();
  await conversation.caller?.speak(HALF_A_SECOND);
  await turn(conversation, stage);
  const { now } = conversation;
  await fail(provider);
  await begin(conversation, stage);
  const isNews = ({ seq, type, data }: Envelope) =>
    seq > now &&
    ((type === "error" && data.stage === stage) ||
      (type === "transcript" && data.role === "agent" && data.final));
  const news = conversation.listener.waitFor(isNews);
  const since = () => seenIn(conversation.events) + JSON.stringify(conversation.events.slice(now));
  const first = await within("the person learns why, or is answered", news, since, NEWS_MS);
  if (first.type === "transcript" && first.data.text !== `You said: ${PHRASE}`) {
    throw new Error(`the answer is ${JSON.stringify(first.data.text.slice(0, 100))}`);
  }
  await provider.heal();
  const backMs = await turn(conversation, stage);
  const seen = first.type === "error" ? seenIn(conversation.events) : "a late answer";
  if ((await conversation.stop()) !== 200) throw new Error("it cannot be stopped");
  return { seen, backMs, lost: await lostIn(conversation, parley) };
}

/** Says something if the recogniser is concerned, and types it otherwise. */
async function begin(conversation: Conversation, stage: Stage): Promise<void> {
  if (stage === "stt") await conversation.caller?.speak(speak(PHRASE, { rate: RATE }));
  else await conversation.type(PHRASE);
}

/** A turn that is answered; ms. */
async function turn(conversation: Conversation, stage: Stage): Promise<number> {
  const { now } = conversation;
  const started = performance.now();
  await begin(conversation, stage);
  await conversation.answer(now);
  return performance.now() - started;
}

/** A provider of one stage that can go wrong, and be as good as before. */
class Provider implements AsyncDisposable {
  readonly stage: Stage;
  readonly url: string;
  #ai: StandIn | undefined;

  private constructor(stage: Stage, ai: StandIn) {
    this.stage = stage;
    this.url = ai.url;
    this.#ai = ai;
  }

  static async of(stage: Stage): Promise<Provider> {
    return new Provider(stage, await startStandIn({ phrases: [PHRASE], realtime: false }));
  }

  async fail(fault: ProviderFault): Promise<void> {
    this.#ai?.fail(this.stage, fault, Number.POSITIVE_INFINITY);
  }

  /** Changes what it answers. */
  async deviate(change: (answer: Uint8Array) => Uint8Array | ReadableStream): Promise<void> {
    if (this.#ai) this.#ai.quirks = [instead(change)];
  }

  /** Nothing listens at its address. */
  async stop(): Promise<void> {
    await this.#ai?.[Symbol.asyncDispose]();
    this.#ai = undefined;
  }

  async heal(): Promise<void> {
    const port = Number(new URL(this.url).port);
    this.#ai ??= await startStandIn({ phrases: [PHRASE], realtime: false, port });
    this.#ai.heal();
    this.#ai.quirks = [];
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** Answers of the stages, but no list of models, with another body. */
function instead(change: (answer: Uint8Array) => Uint8Array | ReadableStream): Quirk {
  return {
    name: "another answer",
    report: "none",
    path: /\/(transcriptions|completions|speech)$/,
    async answer(request, next) {
      const response = await next(request);
      const { status, headers } = response;
      const type = headers.get("content-type") ?? "";
      const body = change(await response.bytes());
      return new Response(body, { status, headers: { "content-type": type } });
    },
  };
}

function drip(answer: Uint8Array): ReadableStream<Uint8Array> {
  let sent = 0;
  return new ReadableStream({
    async pull(controller) {
      if (sent > 0) await Bun.sleep(DRIP_MS);
      if (sent === answer.length) controller.close();
      else controller.enqueue(answer.subarray(sent, ++sent));
    },
  });
}

function garbage(): Uint8Array<ArrayBuffer> {
  return new Uint8Array(GARBAGE_BYTES);
}
