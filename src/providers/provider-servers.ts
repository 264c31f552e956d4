import type { OfferedNames } from "../domain/provider.ts";
import {
  isOpenAi,
  type ProviderEndpoint,
  type Stage,
  type StageEndpoint,
  type StageProviders,
} from "../domain/stage.ts";
import { Failure } from "../errors.ts";
import { STAGE_NOUNS } from "../lib/words.ts";
import { acceptsNames } from "./accepts-names.ts";
import { type FoundApi, findServer, listVoices, servesStage } from "./find-server.ts";
import { modelsFor } from "./name-list.ts";
import { notChosen, notFoundFailure, notListed, notOffered } from "./server-failures.ts";
import { likelyVoice, type Settled, settleModel, settleVoice, type Wish } from "./settle-names.ts";

/** What is known of a server. */
interface Known extends FoundApi {
  /** When it answered, ms since the epoch. */
  at: number;
  /** The stages that it was found to serve, or not, where its list does not tell. */
  serves: Map<Stage, boolean>;
  voices?: Promise<string[] | undefined>;
}

const CACHE_MS = 60_000;
/** A person may have just changed what a server offers: only an answer from now on counts. */
const FRESH_MS = 0;
/** Bound of what is remembered; addresses that people try out come and go. */
const MAX_KNOWN = 100;

/**
 * What the servers of the stages are and offer: where OpenAI's API is at an address, and which
 * models and voices there are. Good answers are cached for a minute; a server that is down is
 * asked again at once.
 */
export class ProviderServers {
  readonly #known = new Map<string, Known>();
  readonly #asking = new Map<string, Promise<Known>>();
  readonly #settled = new Map<string, Wish>();
  readonly #answerMs: number;

  /** @param answerMs how long a server may take for each answer */
  constructor(answerMs: number) {
    this.#answerMs = answerMs;
  }

  /**
   * Finds the server of a stage.
   *
   * @param maxAgeMs how old the answer may be
   * @throws Failure that says what is wrong with the address, the key or the server
   */
  async find(provider: StageEndpoint, maxAgeMs = CACHE_MS): Promise<FoundApi> {
    const { stage, baseURL, apiKey } = provider;
    if (apiKey === undefined && isOpenAi(baseURL)) {
      throw new Failure(
        "unavailable",
        `No provider is set up for ${STAGE_NOUNS[stage]}: choose one on the Models page, or set OPENAI_API_KEY or ${stage.toUpperCase()}_BASE_URL and start Parley again.`,
      );
    }
    return this.#knownOf(provider, maxAgeMs);
  }

  /**
   * Settles a stage with what its server offers: the address that works, and the model and voice
   * to request.
   *
   * @param strict whether a person can be asked: a wrong name and an open choice are refused then
   * @throws Failure as `find`, or because a name has to be chosen or is wrong
   */
  async settle<W extends Wish>(stage: Stage, wish: W, strict = false): Promise<W> {
    const { host } = new URL(wish.baseURL);
    const server = await this.find({ stage, ...wish }, strict ? FRESH_MS : CACHE_MS);
    const at = { baseURL: server.baseURL, apiKey: wish.apiKey };
    if (isOpenAi(at.baseURL)) return { ...wish, ...at };
    // A conversation may do without a stage: who types needs no speech recognition.
    if (strict && !(await this.#serves(stage, at))) throw notOffered(stage, host);
    const voices = stage === "tts" ? await this.#voicesOf(stage, at) : undefined;
    const model = settleModel(stage, at.baseURL, wish.model, server.models);
    const voice = settleVoice(at.baseURL, wish.voice, voices);
    if ("choose" in model) throw notChosen({ stage, what: "model", host, strict }, model.choose);
    const names = {
      model: nameOf(model),
      voice: "choose" in voice ? likelyVoice(voice.choose) : nameOf(voice),
    };
    if (strict) {
      const named = { ...at, ...names };
      await this.#assertListed(stage, "model", model, named, server.models);
      if ("choose" in voice) throw notChosen({ stage, what: "voice", host, strict }, voice.choose);
      await this.#assertListed(stage, "voice", voice, named, voices);
    }
    const settled = { ...wish, ...at, ...withoutUndefined(names) };
    this.#remember(stage, wish, settled);
    return settled;
  }

  /** What `settle` found last for the same wish; undefined before. */
  settled(stage: Stage, wish: Wish): Wish | undefined {
    return this.#settled.get(wishId(stage, wish));
  }

  /** What the server at an address offers for a stage. @throws Failure as `find` */
  async offered(stage: Stage, endpoint: ProviderEndpoint): Promise<OfferedNames> {
    const { baseURL, models } = await this.find({ stage, ...endpoint });
    const at = { ...endpoint, baseURL };
    const voices = stage === "tts" && !isOpenAi(baseURL) ? await this.#voicesOf(stage, at) : [];
    return { baseURL, models: modelsFor(stage, models ?? []), voices: voices ?? [] };
  }

  /**
   * The stages of a session as their servers take them.
   *
   * @param onSecond called when only the second provider of a stage answers, with the failure of
   *   the first
   * @throws Failure as `settle`, for a stage without a provider that answers
   */
  async settleAll(
    stages: StageProviders,
    onSecond: (stage: Stage, error: unknown) => void = () => {},
  ): Promise<StageProviders> {
    const [stt, llm, tts] = await Promise.all([
      this.#withFallback("stt", stages.stt, onSecond),
      this.#withFallback("llm", stages.llm, onSecond),
      this.#withFallback("tts", stages.tts, onSecond),
    ]);
    return { stt, llm, tts };
  }

  async #withFallback<W extends Wish & { isEngine?: boolean; fallback?: W | undefined }>(
    stage: Stage,
    provider: W,
    onSecond: (stage: Stage, error: unknown) => void,
  ): Promise<W> {
    const settled = async (one: W) => (one.isEngine ? one : this.settle(stage, one));
    const { fallback } = provider;
    if (fallback === undefined) return settled(provider);
    // One of the two is enough; whether the other works shows when it is needed.
    const [first, second] = await Promise.allSettled([settled(provider), settled(fallback)]);
    if (first.status === "fulfilled") {
      return { ...first.value, fallback: second.status === "fulfilled" ? second.value : fallback };
    }
    if (second.status === "rejected") throw first.reason;
    onSecond(stage, first.reason);
    return { ...provider, fallback: second.value };
  }

  /** Servers accept names that they do not list, too: unless it is a typo, the server decides. */
  async #assertListed(
    stage: Stage,
    what: "model" | "voice",
    settled: Settled,
    named: Wish,
    all: readonly unknown[] | undefined,
  ): Promise<void> {
    if (!("unlisted" in settled)) return;
    if (!settled.isTypo && (await acceptsNames(stage, named, this.#answerMs))) return;
    throw notListed(what, settled.unlisted, settled.near, all?.length ?? 0);
  }

  #remember(stage: Stage, wish: Wish, settled: Wish): void {
    if (this.#settled.size >= MAX_KNOWN) this.#settled.clear();
    this.#settled.set(wishId(stage, wish), settled);
  }

  async #serves(stage: Stage, at: ProviderEndpoint): Promise<boolean> {
    const known = await this.#knownOf({ stage, ...at });
    if (known.models === undefined) return true;
    const named = known.models.some(({ kind }) => kind === stage);
    if (named || (stage === "llm" && modelsFor(stage, known.models).length > 0)) return true;
    const serves = known.serves.get(stage) ?? (await servesStage(stage, at, this.#answerMs));
    known.serves.set(stage, serves);
    return serves;
  }

  async #voicesOf(stage: Stage, at: ProviderEndpoint): Promise<string[] | undefined> {
    const known = await this.#knownOf({ stage, ...at });
    known.voices ??= listVoices(at, this.#answerMs);
    return known.voices;
  }

  async #knownOf(provider: StageEndpoint, maxAgeMs = CACHE_MS): Promise<Known> {
    const { stage, baseURL, apiKey } = provider;
    const id = `${baseURL} ${apiKey ?? ""}`;
    const oldest = Date.now() - maxAgeMs;
    // Stages of one server wait for its answer to the first of them.
    for (let before = this.#asking.get(id); before; before = this.#asking.get(id)) {
      await before.catch(() => undefined);
    }
    const known = this.#known.get(id);
    const tellsOfStage = known && (known.models !== undefined || known.serves.has(stage));
    if (known && tellsOfStage && known.at >= oldest) return known;
    const asking = this.#ask(provider).finally(() => this.#asking.delete(id));
    this.#asking.set(id, asking);
    return asking;
  }

  async #ask(provider: StageEndpoint): Promise<Known> {
    const { stage, baseURL, apiKey } = provider;
    const found = await findServer(stage, provider, this.#answerMs);
    if ("why" in found) throw notFoundFailure(provider, found);
    // A server without a list is asked for each stage, and its answers to the others stay.
    const serves = new Map(
      found.models === undefined ? this.#known.get(`${baseURL} ${apiKey ?? ""}`)?.serves : [],
    );
    if (found.models === undefined) serves.set(stage, true);
    const known = { ...found, at: Date.now(), serves };
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    for (const address of [baseURL, found.baseURL]) {
      this.#known.set(`${address} ${apiKey ?? ""}`, known);
    }
    return known;
  }
}

function nameOf(settled: Settled): string | undefined {
  if ("name" in settled) return settled.name;
  return "unlisted" in settled ? settled.unlisted : undefined;
}

function withoutUndefined({ model, voice }: Pick<Wish, "model" | "voice">) {
  return { ...(model !== undefined && { model }), ...(voice !== undefined && { voice }) };
}

function wishId(stage: Stage, { baseURL, apiKey, model, voice }: Wish): string {
  return JSON.stringify([stage, baseURL, apiKey, model, voice]);
}
