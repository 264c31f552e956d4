import type { MiddlewareHandler } from "hono";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { LoadedModels, ModelState } from "./loaded-models.ts";

/** Histogram bounds in seconds, for answers that are streamed and for whole ones. */
const BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64];

type Value = readonly [labels: Record<string, string>, value: number | undefined];

/** The engine's metrics for Prometheus: requests as they are answered, models as they are now. */
export class EngineMetrics {
  readonly #registry = new Registry();
  readonly #requests = new Counter({
    name: "parley_engine_requests_total",
    help: "Requests by route and status.",
    labelNames: ["route", "status"],
    registers: [this.#registry],
  });
  readonly #seconds = new Histogram({
    name: "parley_engine_request_seconds",
    help: "From a request until its answer begins, by route.",
    labelNames: ["route"],
    buckets: BUCKETS,
    registers: [this.#registry],
  });
  readonly #models: LoadedModels;

  constructor(models: LoadedModels) {
    this.#models = models;
    this.#read("requests_running", "Requests that a model serves or that wait for it.", (state) => [
      [{}, state.leases],
    ]);
    this.#count("model_loads_total", "Loads by result.", ({ loads }) =>
      Object.entries(loads).map(([result, times]) => [{ result }, times]),
    );
    this.#count("model_load_seconds_total", "Time that loads took.", ({ loadMs }) => [
      [{}, loadMs / 1000],
    ]);
    this.#count("audio_seconds_total", "Sound that a model heard or made.", (state) => [
      [{}, state.model.stage === "llm" ? undefined : state.audioSeconds],
    ]);
    this.#count("tokens_total", "Tokens that were read, known from before, or written.", tokensOf);
    this.#count("token_seconds_total", "Time that tokens took.", ({ totals }) => [
      [{ kind: "read" }, totals && totals.promptMs / 1000],
      [{ kind: "written" }, totals && totals.completionMs / 1000],
    ]);
    this.#read("tokens_per_second", "Since the model was loaded.", ({ totals }) => [
      [
        { kind: "read" },
        totals && rate(totals.promptTokens - totals.cachedTokens, totals.promptMs),
      ],
      [{ kind: "written" }, totals && rate(totals.completionTokens, totals.completionMs)],
    ]);
  }

  /** Counts a request once its answer begins. */
  readonly middleware: MiddlewareHandler = async (c, next) => {
    const startedAt = performance.now();
    await next();
    const route = ROUTES.find((one) => c.req.path.startsWith(one)) ?? "other";
    this.#requests.inc({ route, status: String(c.res.status) });
    this.#seconds.observe({ route }, (performance.now() - startedAt) / 1000);
  };

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** The metrics in Prometheus' text format. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #read(name: string, help: string, valuesOf: (state: ModelState) => readonly Value[]): void {
    const models = this.#models;
    new Gauge({
      ...{ name: `parley_engine_${name}`, help, registers: [this.#registry] },
      labelNames: ["stage", "model", "kind"],
      collect() {
        this.reset();
        for (const [labels, value] of valuesFor(models, valuesOf)) this.set(labels, value);
      },
    });
  }

  #count(name: string, help: string, valuesOf: (state: ModelState) => readonly Value[]): void {
    const models = this.#models;
    new Counter({
      ...{ name: `parley_engine_${name}`, help, registers: [this.#registry] },
      labelNames: ["stage", "model", "kind", "result"],
      collect() {
        this.reset();
        for (const [labels, value] of valuesFor(models, valuesOf)) this.inc(labels, value);
      },
    });
  }
}

/** Paths of clients are not labels, since there may be any number of them. */
const ROUTES = [
  "/v1/chat/completions",
  "/v1/audio/transcriptions",
  "/v1/audio/speech",
  "/v1/audio/voices",
  "/v1/models",
];

function* valuesFor(models: LoadedModels, valuesOf: (state: ModelState) => readonly Value[]) {
  for (const state of models.states) {
    const { stage, id } = state.model;
    for (const [labels, value] of valuesOf(state)) {
      if (value !== undefined) yield [{ stage, model: id, ...labels }, value] as const;
    }
  }
}

function tokensOf({ totals }: ModelState): Value[] {
  return [
    [{ kind: "read" }, totals && totals.promptTokens - totals.cachedTokens],
    [{ kind: "cached" }, totals?.cachedTokens],
    [{ kind: "written" }, totals?.completionTokens],
  ];
}

function rate(tokens: number, ms: number): number | undefined {
  return ms === 0 ? undefined : (1000 * tokens) / ms;
}
