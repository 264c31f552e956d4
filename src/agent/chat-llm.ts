import {
  type APIConnectOptions,
  DEFAULT_API_CONNECT_OPTIONS,
  llm,
  shortuuid,
} from "@livekit/agents";
import type { Thinking } from "../domain/stage.ts";
import type { Notice } from "../domain/transcript.ts";
import { Failover } from "../providers/failover.ts";
import { loadingOf, ProviderTimeout } from "../providers/loading.ts";
import type { ModelMemory } from "../providers/model-memory.ts";
import type { Patience } from "../providers/provider-client.ts";
import { redactProviderError, tellingOfFallback } from "../providers/provider-errors.ts";
import type { ProviderSource } from "../providers/provider-source.ts";
import { thinksLong } from "../providers/thinking-models.ts";
import { answerOf, type ChatModel, type Said } from "./chat-answer.ts";
import { conversationOf, RETRACTED } from "./chat-messages.ts";
import { warmUp } from "./chat-warm-up.ts";

type Access = ChatModel["access"] & { source?: ProviderSource | undefined };

export interface ChatLlmOptions {
  first: Access;
  /** Takes over when the first fails. */
  second: Access | undefined;
  thinking: Thinking;
  memory: ModelMemory;
  onNotice(notice: Notice): void;
}

/** A loaded model that is silent for longer than this has failed, in ms. */
const ANSWER_MS = 8000;
/** Between two parts of an answer, in ms. Models on a processor may write a word in seconds. */
const IDLE_MS = 20_000;
/** The same for models that think, some of them without a sign of it. */
const THINKING_MS = 60_000;
/** How long the first provider may take to its first words if there is a second, in ms. */
const FIRST_WORDS_MS = 8000;

/** The language model of a session: a server with OpenAI's API, however it deviates. */
export class ChatLlm extends llm.LLM {
  readonly #options: ChatLlmOptions;
  readonly #first: ChatModel;
  readonly #models: Failover<ChatModel>;

  constructor(options: ChatLlmOptions) {
    super();
    this.#options = options;
    const { first, second } = options;
    this.#first = this.#model(first, second === undefined);
    this.#models = new Failover(
      this.#first,
      second && this.#model(second, true),
      tellingOfFallback("llm", first, second, options.onNotice),
    );
  }

  override label(): string {
    return "parley.ChatLlm";
  }

  override get model(): string {
    return this.#options.first.model;
  }

  override get provider(): string {
    return new URL(this.#options.first.baseURL).host;
  }

  override chat({
    chatCtx,
    connOptions = DEFAULT_API_CONNECT_OPTIONS,
  }: Parameters<llm.LLM["chat"]>[0]): llm.LLMStream {
    const { onNotice } = this.#options;
    return new ChatAnswer(this, { chatCtx, connOptions, models: this.#models, onNotice });
  }

  /** Called by the session when it begins. */
  protected override _prewarmImpl(signal: AbortSignal): Promise<void> {
    return warmUp(this.#first, signal);
  }

  /** @param isLast whether there is nobody else to ask, so that loading is waited for and reported */
  #model(access: Access, isLast: boolean): ChatModel {
    const { memory, thinking, onNotice } = this.#options;
    const facts = memory.of(access);
    const isSlow = thinksLong(access.model);
    const patience: Patience = {
      answerMs: isSlow ? THINKING_MS : ANSWER_MS,
      idleMs: isSlow ? THINKING_MS : IDLE_MS,
    };
    const loading = loadingOf("llm", access, memory, isLast ? onNotice : undefined);
    const firstWordsMs = isLast ? undefined : FIRST_WORDS_MS;
    return {
      access,
      facts,
      thinking,
      isEngine: access.source?.isEngine,
      patience: { ...patience, loading },
      firstWordsMs,
    };
  }
}

const CUT: Notice = {
  code: "answer_cut",
  stage: "llm",
  transient: false,
  message: "The answer reached the length limit of the language model and ends early.",
};

interface AnswerOptions {
  chatCtx: llm.ChatContext;
  connOptions: APIConnectOptions;
  models: Failover<ChatModel>;
  onNotice(notice: Notice): void;
}

/** One answer. */
class ChatAnswer extends llm.LLMStream {
  readonly #options: AnswerOptions;
  readonly #id = shortuuid("chat_");
  /** What was put out. */
  #text = "";

  constructor(owner: ChatLlm, options: AnswerOptions) {
    super(owner, options);
    this.#options = options;
  }

  protected override async run(): Promise<void> {
    const { signal } = this.abortController;
    const { models } = this.#options;
    try {
      const answer = await models.run((model) => this.#begin(model), signal);
      for (const said of answer.begun) this.#put(said);
      for await (const said of answer.rest) this.#put(said);
    } catch (error) {
      if (!signal.aborted) throw redactProviderError("llm", error);
    }
  }

  /** Asks a model and waits for its first words. */
  async #begin(model: ChatModel): Promise<{ begun: Said[]; rest: AsyncGenerator<Said> }> {
    const { signal } = this.abortController;
    const tooSlow = new AbortController();
    const giveUp = () => tooSlow.abort(new ProviderTimeout("did not answer"));
    const timer = model.firstWordsMs && setTimeout(giveUp, model.firstWordsMs);
    const rest = answerOf(
      model,
      conversationOf(this.chatCtx),
      AbortSignal.any([signal, tooSlow.signal]),
    );
    try {
      const begun: Said[] = [];
      for (;;) {
        const { done, value } = await rest.next();
        if (!done) begun.push(value);
        if (done || value.kind === "text") return { begun, rest };
      }
    } finally {
      if (timer) clearTimeout(timer);
    }
  }

  #put(said: Said): void {
    const put = (delta: Omit<llm.ChoiceDelta, "role">) =>
      this.queue.put({ id: this.#id, delta: { role: "assistant", ...delta } });
    switch (said.kind) {
      case "text":
        this.#text += said.text;
        put({ content: said.text });
        break;
      case "restart":
        // A space, since voices and readers take the words for one text.
        this.#text += " ";
        put({ content: " ", extra: { [RETRACTED]: this.#text } });
        break;
      case "usage":
        this.queue.put({
          id: this.#id,
          usage: {
            promptTokens: said.prompt,
            completionTokens: said.completion,
            promptCachedTokens: said.cached,
            totalTokens: said.prompt + said.completion,
          },
        });
        break;
      case "cut":
        this.#options.onNotice(CUT);
    }
  }
}
