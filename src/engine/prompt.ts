import type {
  ChatHistoryItem,
  ChatModelFunctions,
  ChatWrapper,
  LlamaModel,
  Token,
} from "node-llama-cpp";
import { windowOf } from "./conversation-window.ts";
import { equalFrom } from "./kv-reuse.ts";
import type { AnswerRequest } from "./language-model.ts";

type Library = typeof import("node-llama-cpp");

/** A conversation as the model reads it. */
export interface Prompt {
  /** What of the conversation fits. */
  items: ChatHistoryItem[];
  tokens: Token[];
  /** So many tokens at the beginning are instructions, which other conversations may share. */
  instructionTokens: number;
  chatWrapper: ChatWrapper;
}

/** Texts whose number of tokens is remembered. */
const MAX_REMEMBERED = 2000;

/** Puts conversations into the form that a model was trained on. */
export class PromptBuilder {
  readonly #library: Library;
  readonly #model: LlamaModel;
  readonly #chatWrapper: ChatWrapper;
  readonly #contextTokens: number;
  readonly #lengths = new Map<string, number>();

  /** @param contextTokens the tokens of a prompt and its answer */
  constructor(library: Library, model: LlamaModel, contextTokens: number) {
    this.#library = library;
    this.#model = model;
    this.#chatWrapper = library.resolveChatWrapper(model);
    this.#contextTokens = contextTokens;
  }

  /** @throws Failure `context_length_exceeded` if the instructions and the last turn do not fit */
  build({ history, functions, mustCall, maxTokens }: AnswerRequest): Prompt {
    const render = (items: readonly ChatHistoryItem[]) => this.#tokens(items, functions);
    const counts = {
      ofItem: (item: ChatHistoryItem) => this.#length(item),
      ofPrompt: (items: readonly ChatHistoryItem[]) => render(items).length,
    };
    const items = windowOf(history, counts, this.#contextTokens, maxTokens);
    const tokens = render(items);
    return {
      items,
      tokens,
      instructionTokens: this.#instructionTokens(items, tokens, functions),
      chatWrapper: mustCall ? this.#calling() : this.#chatWrapper,
    };
  }

  /**
   * The beginning of the prompt for the next turn, whatever the person will say; undefined if nothing
   * falls out of the context until then, so that there is nothing to do.
   *
   * @param answer what the model answered to the prompt
   */
  next(request: AnswerRequest, { items }: Prompt, answer: string): Token[] | undefined {
    const history = [...request.history, { type: "model" as const, response: [answer] }];
    const [first, second] = ["A", "B"].map((text) => {
      const { items, tokens } = this.build({
        ...request,
        history: [...history, { type: "user", text }],
      });
      return { items, tokens };
    });
    if (!first || !second || first.items.length === items.length + 2) return undefined;
    return first.tokens.slice(0, equalFrom(first.tokens, 0, second.tokens, 0));
  }

  #tokens(items: readonly ChatHistoryItem[], functions: ChatModelFunctions | undefined): Token[] {
    const isOpen = items.at(-1)?.type === "model";
    const { contextText } = this.#chatWrapper.generateContextState({
      chatHistory: isOpen ? [...items] : [...items, { type: "model", response: [] }],
      ...(functions && { availableFunctions: functions }),
    });
    return contextText.tokenize(this.#model.tokenizer);
  }

  #instructionTokens(
    items: readonly ChatHistoryItem[],
    tokens: readonly Token[],
    functions: ChatModelFunctions | undefined,
  ): number {
    const instructions = items.filter(({ type }) => type === "system");
    const rendered = this.#tokens([...instructions, { type: "user", text: "" }], functions);
    return equalFrom(rendered, 0, tokens, 0);
  }

  #length(item: ChatHistoryItem): number {
    const text = JSON.stringify(item.type === "model" ? item.response : item.text);
    const known = this.#lengths.get(text);
    if (known !== undefined) return known;
    if (this.#lengths.size >= MAX_REMEMBERED) this.#lengths.clear();
    const length = this.#model.tokenize(text).length;
    this.#lengths.set(text, length);
    return length;
  }

  /** The same form, with which the answer begins as a call of a function. */
  #calling(): ChatWrapper {
    const { LlamaText } = this.#library;
    const wrapper = this.#chatWrapper;
    const { call, parallelism } = wrapper.settings.functions;
    const inject = LlamaText([parallelism?.call.sectionPrefix ?? "", call.prefix]);
    return Object.create(wrapper, {
      generateContextState: {
        value: (options: Parameters<ChatWrapper["generateContextState"]>[0]) => ({
          ...wrapper.generateContextState(options),
          functionCall: undefined,
          prefixTriggers: undefined,
          noPrefixTrigger: { type: "functionCall", inject },
        }),
      },
    });
  }
}
