/** What Parley has learned about a model at a server, for as long as Parley runs. */
export interface ModelFacts {
  /** When it answered last, ms since the epoch; 0: not yet. */
  answeredAt: number;
  /** The longest that a request waited for the first byte while the model was loaded, in ms. */
  slowestMs: number;
  /** How long it took when it may have been loaded first, in ms; 0 once it has answered again. */
  loadMs: number;
  /** How long a conversation may be, in estimated tokens. */
  budget: number | undefined;
  /** When the server was asked for the size of the context, ms since the epoch. */
  limitAskedAt: number;
  /** Fields of a request that the server refuses. */
  readonly refused: Set<string>;
  /** Whether the model has been seen to think. */
  thinks: boolean;
  /** Whether its answers begin in the middle of a thought; undefined: not seen yet. */
  beginsInThought: boolean | undefined;
  /** Whether its chat template takes no system message. */
  refusesSystem: boolean;
  /** Requests that nobody waits for any more, but that keep a model loading. */
  readonly abandoned: Set<AbortController>;
}

/** Models that are remembered; the one that was asked for longest ago is forgotten first. */
const MAX_MODELS = 200;

/** What is known of each model at each server. */
export class ModelMemory {
  readonly #facts = new Map<string, ModelFacts>();

  /** What is known of a model; the answer changes as more is learned. */
  of({ baseURL, model }: { baseURL: string; model: string }): ModelFacts {
    const key = `${baseURL} ${model}`;
    const facts = this.#facts.get(key) ?? nothingKnown();
    this.#facts.delete(key);
    this.#facts.set(key, facts);
    const [oldest] = this.#facts.keys();
    if (this.#facts.size > MAX_MODELS && oldest !== undefined) this.#facts.delete(oldest);
    return facts;
  }
}

function nothingKnown(): ModelFacts {
  return {
    answeredAt: 0,
    slowestMs: 0,
    loadMs: 0,
    budget: undefined,
    limitAskedAt: 0,
    refused: new Set(),
    thinks: false,
    beginsInThought: undefined,
    refusesSystem: false,
    abandoned: new Set(),
  };
}
