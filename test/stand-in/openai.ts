import { utter } from "../audio/speech.ts";
import type { StandInContext } from "./answer.ts";
import { defaultReply } from "./chat.ts";
import type { RealtimeDialect } from "./dialect.ts";
import { Controls, type Fault, type PerStage, type Stage } from "./faults.ts";
import { type ChatMessage, type LoggedRequest, RequestLog } from "./log.ts";
import type { Quirk } from "./quirks.ts";
import type { ToolCall } from "./realtime-answers.ts";
import type { RealtimeModelQuirk } from "./realtime-model.ts";
import { Vocabulary } from "./recognise.ts";
import { type Listener, serve } from "./routes.ts";
import { agentSpeech } from "./speech.ts";
import type { Phrase } from "./template.ts";

/** How a stand-in begins; all of it but the key, the port and the speed can change while it runs. */
export interface StandInOptions {
  /** What people may say; anything else is not understood. */
  phrases?: readonly Phrase[];
  /** When set, requests without this bearer key get 401. */
  apiKey?: string;
  /** Whether `/v1/realtime` exists; true by default. Without it, its upgrade gets 404. */
  realtime?: boolean;
  /** In what way `/v1/realtime` deviates from OpenAI's; not at all by default. */
  realtimeDialect?: RealtimeDialect;
  /** The agent's words, from all messages of a request; `defaultReply` by default. */
  reply?: (messages: readonly ChatMessage[]) => string;
  /** Waits in ms before the first byte of each stage; 0 by default. */
  delays?: Partial<PerStage>;
  /** Waits in ms between words of a chat (`llm`) and 100 ms parts of speech (`tts`); 0. */
  pace?: Partial<PerStage>;
  /** Replies to speak in advance, in the voice `alloy`, so that no turn pays for it. */
  prewarm?: readonly string[];
  /** Speed of the agent's speech; 175 by default. */
  wordsPerMinute?: number;
  /** The only realtime model that is known; any by default. */
  knownModel?: string;
  /** What the realtime model calls in the place of an answer; nothing by default. */
  toolCall?: (messages: readonly ChatMessage[], tools: readonly unknown[]) => ToolCall | undefined;
  /** Deviations of real servers; none by default. */
  quirks?: readonly Quirk[];
  /** 0, a free port, by default. */
  port?: number;
}

/**
 * An OpenAI-compatible server on loopback for tests and benchmarks: it transcribes what it really
 * hears (of known phrases), replies by simple rules, and speaks its replies.
 */
export class StandIn implements AsyncDisposable {
  /** Base URL for `OPENAI_BASE_URL`, ending in `/v1`. */
  readonly url: string;
  readonly #context: StandInContext;
  readonly #controls: Controls;
  readonly #stopping: AbortController;
  readonly #server: Listener;

  /** Use `startStandIn`. */
  constructor(options: StandInOptions) {
    this.#stopping = new AbortController();
    this.#controls = new Controls();
    Object.assign(this.#controls.delays, options.delays);
    Object.assign(this.#controls.pace, options.pace);
    this.#context = {
      log: new RequestLog(),
      controls: this.#controls,
      vocabulary: new Vocabulary(options.phrases),
      closing: this.#stopping.signal,
      realtime: options.realtime ?? true,
      dialect: options.realtimeDialect,
      reply: options.reply ?? defaultReply,
      wordsPerMinute: options.wordsPerMinute ?? 175,
      quirks: options.quirks ?? [],
      knownModel: options.knownModel,
      toolCall: options.toolCall ?? (() => undefined),
      realtimeModelQuirks: [],
    };
    this.#server = serve(this.#context, options);
    this.url = new URL("/v1", this.#server.url).href;
  }

  /** Every request since the start, in the order of arrival; entries change as requests go on. */
  get requests(): readonly LoggedRequest[] {
    return this.#context.log.entries;
  }

  /** Waits before the first byte in ms, to be set. */
  get delays(): PerStage {
    return this.#controls.delays;
  }

  /** Waits between the parts of an answer in ms, to be set. */
  get pace(): PerStage {
    return this.#controls.pace;
  }

  /** Number of open realtime connections. */
  get realtimeConnections(): number {
    return this.#server.realtimeConnections();
  }

  /** Switches `/v1/realtime` on or off for connections to come. */
  set realtime(on: boolean) {
    this.#context.realtime = on;
  }

  /** Changes in what way `/v1/realtime` deviates, for connections to come. */
  set realtimeDialect(dialect: RealtimeDialect | undefined) {
    this.#context.dialect = dialect;
  }

  /** Changes in what way the server deviates, for requests to come. */
  set quirks(quirks: readonly Quirk[]) {
    this.#context.quirks = quirks;
  }

  /** Changes which realtime model is known. */
  set knownModel(model: string | undefined) {
    this.#context.knownModel = model;
  }

  /** Changes in what way the realtime model deviates, for events to come. */
  set realtimeModelQuirks(quirks: readonly RealtimeModelQuirk[]) {
    this.#context.realtimeModelQuirks = quirks;
  }

  /** Ends the sessions of the realtime model, as OpenAI does after 60 minutes. */
  expireRealtimeModels(): void {
    this.#server.expireRealtimeModels();
  }

  /** Changes the agent's words. */
  set reply(reply: (messages: readonly ChatMessage[]) => string) {
    this.#context.reply = reply;
  }

  /** Understands more phrases from the next request or commit on. */
  addPhrases(...phrases: Phrase[]): void {
    this.#context.vocabulary.add(phrases);
  }

  /** Makes the next `times` requests of a stage meet a fault; `Infinity` until `heal`. */
  fail(stage: Stage, fault: Fault, times = 1): void {
    this.#controls.fail(stage, fault, times);
  }

  /** Takes back the faults of a stage, or of all. */
  heal(stage?: Stage): void {
    this.#controls.heal(stage);
  }

  /**
   * The first request of a stage that fits, among those that came and those to come. It is looked
   * at again whenever it changes, so `fits` may ask for an outcome.
   *
   * @throws Error that lists the requests of the stage, after `timeoutMs` (10 s).
   */
  waitFor(
    stage: LoggedRequest["stage"],
    fits: (request: LoggedRequest) => boolean = () => true,
    timeoutMs = 10_000,
  ): Promise<LoggedRequest> {
    return this.#context.log.waitFor(stage, fits, timeoutMs);
  }

  /** Ends all requests and connections, and stops listening. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#server.stop();
  }
}

/**
 * Starts an OpenAI-compatible stand-in on loopback.
 *
 * @throws Error when espeak-ng is missing, or the port is taken.
 */
export async function startStandIn(options: StandInOptions = {}): Promise<StandIn> {
  for (const text of options.prewarm ?? []) {
    agentSpeech(text, "alloy", options.wordsPerMinute ?? 175);
  }
  const standIn = new StandIn(options);
  // The first recognition pays for compiling the code; no measured turn should.
  const vocabulary = new Vocabulary(["warm up"]);
  const { pcm } = utter("warm up");
  for (let i = 0; i < 5; i++) vocabulary.recognise(pcm, 24_000);
  return standIn;
}
