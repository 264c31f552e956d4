import type { Logger } from "pino";
import { z } from "zod";
import { Failure, type FailureKind, messageOf } from "../errors.ts";
import { parseJson } from "../lib/json.ts";
import type { RedisLink } from "../transcript/redis-link.ts";
import type { NodeRegistry } from "./node-registry.ts";

/** How long a node has to answer, in ms. */
const ANSWER_MS = 2000;
/** When a caller may ask again, in s. */
const RETRY_AFTER_S = 2;
/** The longest request and the longest answer, in characters. */
const MAX_LENGTH = { request: 100_000, answer: 16_000_000 } as const;

const REQUESTS_CHANNEL = "parley:2:requests";
const answersChannel = (node: string) => `parley:2:answers:${node}`;

const request = z.object({ id: z.string(), from: z.string(), question: z.unknown() });

const FAILURES = [
  "invalid",
  "unauthorized",
  "forbidden",
  "not_found",
  "conflict",
  "too_large",
  "limit",
  "upstream_failed",
  "unavailable",
] as const satisfies FailureKind[];

/** An answer: what was found, if anything, or why it failed. */
const answer = z.object({
  id: z.string(),
  from: z.string(),
  found: z.unknown().optional(),
  failure: z
    .object({ kind: z.enum(FAILURES), message: z.string(), retryAfter: z.number().optional() })
    .optional(),
});
type Answer = z.infer<typeof answer>;

/** A question that waits for answers. */
interface Asked {
  waitingFor: Set<string>;
  found: unknown[];
  /** Whether one answer is enough. */
  first: boolean;
  done: PromiseWithResolvers<void>;
}

interface RequestOptions {
  link: RedisLink;
  registry: Pick<NodeRegistry, "id" | "others">;
  /** Answers another node; undefined: it is not about anything here. */
  respond: (question: unknown) => Promise<unknown>;
  logger: Pick<Logger, "warn">;
}

/** Questions to the other nodes and their answers, over two kinds of channels in Redis. */
export class NodeRequests {
  readonly #options: RequestOptions;
  readonly #asked = new Map<string, Asked>();

  constructor(options: RequestOptions) {
    this.#options = options;
  }

  /** Listens. To be called when Redis is connected (again). */
  async listen(): Promise<void> {
    const { link, registry } = this.#options;
    await Promise.all([
      link.subscribe(REQUESTS_CHANNEL, this.#onRequest),
      link.subscribe(answersChannel(registry.id), this.#onAnswer),
    ]);
  }

  /** What the first node that has something answers; undefined when no node has. */
  async first(question: unknown): Promise<unknown> {
    return (await this.#ask(question, true))[0];
  }

  /** What all nodes answer. */
  all(question: unknown): Promise<unknown[]> {
    return this.#ask(question, false);
  }

  /** @throws Failure of the node that was asked; `unavailable` when Redis or a node is silent */
  async #ask(question: unknown, first: boolean): Promise<unknown[]> {
    const { link, registry, logger } = this.#options;
    await this.listen();
    const others = await registry.others();
    if (others.length === 0) return [];
    const id = crypto.randomUUID();
    const done = Promise.withResolvers<void>();
    const asked: Asked = { waitingFor: new Set(others), found: [], first, done };
    this.#asked.set(id, asked);
    const timer = setTimeout(() => {
      logger.warn({ nodes: [...asked.waitingFor] }, "another Parley does not answer");
      const message = "Another Parley does not answer. Please try again soon.";
      done.reject(new Failure("unavailable", message, { retryAfter: RETRY_AFTER_S }));
    }, ANSWER_MS);
    try {
      const text = JSON.stringify({ id, from: registry.id, question });
      await Promise.all([link.send("PUBLISH", [REQUESTS_CHANNEL, text]), done.promise]);
      return asked.found;
    } finally {
      clearTimeout(timer);
      this.#asked.delete(id);
    }
  }

  readonly #onAnswer = (text: string): void => {
    const given = parsed(answer, text, MAX_LENGTH.answer);
    const asked = given && this.#asked.get(given.id);
    if (!given || !asked) return;
    asked.waitingFor.delete(given.from);
    if (given.failure) {
      const { kind, message, retryAfter } = given.failure;
      const options = retryAfter === undefined ? {} : { retryAfter };
      asked.done.reject(new Failure(kind, message, options));
      return;
    }
    if (given.found !== undefined) asked.found.push(given.found);
    if (asked.waitingFor.size === 0 || (asked.first && asked.found.length > 0)) {
      asked.done.resolve();
    }
  };

  readonly #onRequest = (text: string): void => {
    const asked = parsed(request, text, MAX_LENGTH.request);
    if (!asked || asked.from === this.#options.registry.id) return;
    this.#respond(asked).catch((error: unknown) => {
      this.#options.logger.warn({ error: messageOf(error) }, "another Parley was not answered");
    });
  };

  async #respond({ id, from, question }: z.infer<typeof request>): Promise<void> {
    const { link, registry, respond } = this.#options;
    const head = { id, from: registry.id };
    let given: Answer;
    try {
      given = { ...head, found: await respond(question) };
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      const { kind, message, retryAfter } = error;
      given = { ...head, found: undefined, failure: { kind, message, retryAfter } };
    }
    let text = JSON.stringify(given);
    if (text.length > MAX_LENGTH.answer) {
      const message = "This conversation is too long to be shown by another Parley.";
      text = JSON.stringify({ ...head, failure: { kind: "too_large", message } });
    }
    await link.send("PUBLISH", [answersChannel(from), text]);
  }
}

function parsed<T>(schema: z.ZodType<T>, text: string, maxLength: number): T | undefined {
  if (text.length > maxLength) return undefined;
  return schema.safeParse(parseJson(text)).data;
}
