import { isDeepStrictEqual } from "node:util";
import type { EngineSettings } from "../domain/engine-settings.ts";
import type { LocalModel } from "../domain/model.ts";
import type { Stage } from "../domain/stage.ts";
import { Failure, messageOf } from "../errors.ts";
import { checkModelFiles, loadFailure } from "./check-model.ts";
import { FairQueue } from "./fair-queue.ts";
import { type ChatTotals, type LanguageModel, languageModelLoader } from "./language-model.ts";
import { type LlamaGpu, loadSherpa } from "./native-libraries.ts";
import { refusal } from "./openai-http.ts";
import { loadRecogniser, type Recogniser } from "./recogniser.ts";
import { loadVoice, type Voice } from "./voice.ts";

/** The type of a loaded model, by stage. */
interface LoadedModel {
  stt: Recogniser;
  llm: LanguageModel;
  tts: Voice;
}

type Loaders = { [S in Stage]: (model: LocalModel & { stage: S }) => Promise<LoadedModel[S]> };

/** What loads models of each stage by the native libraries. @throws Failure that says what is wrong */
export function modelLoaders(settings: EngineSettings, gpu: () => Promise<LlamaGpu>): Loaders {
  const loadLanguageModel = languageModelLoader(settings, gpu);
  return {
    stt: (model) =>
      loadChecked(model, async () => loadRecogniser(await loadSherpa(), model, settings)),
    llm: (model) => loadChecked(model, () => loadLanguageModel(model)),
    tts: (model) => loadChecked(model, async () => loadVoice(await loadSherpa(), model, settings)),
  };
}

/** Checks a model's files and loads it. @throws Failure with what the check or the library says */
async function loadChecked<T>(model: LocalModel, load: () => Promise<T>): Promise<T> {
  await checkModelFiles(model);
  try {
    return await load();
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure("unavailable", loadFailure(model, messageOf(error)), { cause: error });
  }
}

export interface LoadedModelsOptions {
  load: Loaders;
  /** Called before and after each load: a native library may end the process in between. */
  onLoad: (event: "loading" | "loaded" | "failed" | "released", model: LocalModel) => void;
  /** How long a model stays in memory after its last lease, in ms; undefined: for ever. */
  keepAliveMs?: number | undefined;
}

/** A loaded model that stays in memory until the lease is disposed. */
export interface Lease<S extends Stage> extends Disposable {
  readonly model: LoadedModel[S];
  readonly id: string;
  /** Counts sound that the model has heard or made. */
  count(audioSeconds: number): void;
}

/** What a model has done. */
export interface ModelState {
  model: LocalModel;
  /** Requests that have it now, or wait for it. */
  leases: number;
  loads: { loaded: number; failed: number };
  /** How long it was loaded, of all loads together, in ms. */
  loadMs: number;
  audioSeconds: number;
  /** Of a language model, since it was last loaded. */
  totals?: Readonly<ChatTotals> | undefined;
}

interface Entry {
  state: ModelState;
  loaded: Promise<LoadedModel[Stage]> | undefined;
  /** Frees it when nobody has used it for a while. */
  idle?: NodeJS.Timeout | undefined;
  /** Whether it is no longer served. */
  dropped: boolean;
}

const STAGE_NAMES: Record<Stage, string> = {
  stt: "speech recognition",
  llm: "chat",
  tts: "speech",
};

/** OpenAI's names, which clients have built in; they mean the only model of the stage. */
const OPENAI_NAMES: Record<Stage, RegExp> = {
  stt: /^(whisper-1|gpt-4o(-mini)?-transcribe(-[\d-]+)?)$/,
  llm: /^gpt-(3\.5-turbo|4-turbo|4o|4\.1|4|5(\.\d)?)(-mini|-nano)?(-[\d-]+)?$/,
  tts: /^(tts-1(-hd)?(-1106)?|gpt-4o-mini-tts(-[\d-]+)?)$/,
};

/** The models that the engine serves; each is loaded once, when it is first needed. */
export class LoadedModels implements AsyncDisposable {
  readonly #options: LoadedModelsOptions;
  /** Models are loaded one at a time, so that it is clear which one ended the process. */
  readonly #loads = new FairQueue();
  #entries: Entry[] = [];
  readonly #freeing = new Set<Promise<void>>();
  /** By id: why models that ended an earlier engine process while loading are not loaded again. */
  #broken: ReadonlyMap<string, string> = new Map();

  constructor(options: LoadedModelsOptions) {
    this.#options = options;
  }

  get models(): LocalModel[] {
    return this.#entries.map(({ state }) => state.model);
  }

  /** What each model that is served has done. */
  get states(): readonly ModelState[] {
    return this.#entries.map(({ state }) => state);
  }

  /** Replaces the models that are served. A leased model is freed after its last lease. */
  use(models: readonly LocalModel[], broken: ReadonlyMap<string, string> = new Map()): void {
    const old = this.#entries;
    this.#broken = broken;
    this.#entries = models.map(
      (model) =>
        old.find((entry) => isDeepStrictEqual(entry.state.model, model)) ?? {
          state: { model, leases: 0, loads: { loaded: 0, failed: 0 }, loadMs: 0, audioSeconds: 0 },
          loaded: undefined,
          dropped: false,
        },
    );
    for (const entry of old.filter((one) => !this.#entries.includes(one))) {
      entry.dropped = true;
      this.#freeIfUnused(entry);
    }
  }

  /**
   * Loads the model that a request names and leases it.
   *
   * @param id undefined, or a name of OpenAI's: the only model of the stage
   * @throws Failure for a model that is not served or cannot be loaded
   */
  async acquire<S extends Stage>(stage: S, id: string | undefined): Promise<Lease<S>> {
    const entry = this.#find(stage, id);
    clearTimeout(entry.idle);
    entry.state.leases += 1;
    let released = false;
    const release = () => {
      if (released) return;
      released = true;
      entry.state.leases -= 1;
      this.#freeIfUnused(entry);
    };
    try {
      // `#find` returned an entry of this stage.
      const model = (await this.#loaded(entry)) as LoadedModel[S];
      const count = (audioSeconds: number) => {
        entry.state.audioSeconds += audioSeconds;
      };
      return { model, id: entry.state.model.id, count, [Symbol.dispose]: release };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** The files of a model that is served. @throws Failure if no model of this stage has this id */
  check<S extends Stage>(stage: S, id: string | undefined): LocalModel & { stage: S } {
    // `#find` returned an entry of this stage.
    return this.#find(stage, id).state.model as LocalModel & { stage: S };
  }

  /** Loads all models that are not loaded yet. @throws Failure of the first that cannot be loaded */
  async warmUp(): Promise<void> {
    await Promise.all(this.#entries.map((entry) => this.#loaded(entry)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.use([]);
    await Promise.all(this.#freeing);
  }

  #find(stage: Stage, id: string | undefined): Entry {
    const candidates = this.#entries.filter(({ state }) => state.model.stage === stage);
    const found = candidates.find(({ state }) => state.model.id === id);
    if (found) return found;
    const [only] = candidates;
    const isAnyMeant = id === undefined || OPENAI_NAMES[stage].test(id);
    if (isAnyMeant && only && candidates.length === 1) return only;
    const ids = candidates.map(({ state }) => state.model.id).join(", ") || "none";
    throw refusal(
      "not_found",
      `There is no model ${JSON.stringify(id ?? "")} for ${STAGE_NAMES[stage]} here. There are: ${ids}.`,
      { code: "model_not_found", param: "model" },
    );
  }

  #loaded(entry: Entry): Promise<LoadedModel[Stage]> {
    entry.loaded ??= this.#loads
      .run("", () => this.#load(entry.state))
      .catch((error) => {
        // The next request tries again, because the file may have been repaired by then.
        entry.loaded = undefined;
        throw error;
      });
    return entry.loaded;
  }

  async #load(state: ModelState): Promise<LoadedModel[Stage]> {
    const { model, loads } = state;
    const broken = this.#broken.get(model.id);
    if (broken !== undefined) throw new Failure("unavailable", broken);
    const { load, onLoad } = this.#options;
    onLoad("loading", model);
    const startedAt = performance.now();
    try {
      const loaded = await loadWith(load, model);
      loads.loaded += 1;
      state.loadMs += performance.now() - startedAt;
      if ("totals" in loaded) state.totals = loaded.totals;
      onLoad("loaded", model);
      return loaded;
    } catch (error) {
      loads.failed += 1;
      onLoad("failed", model);
      throw error;
    }
  }

  /** Frees a model that is not served any more at once, and another after a while. */
  #freeIfUnused(entry: Entry): void {
    clearTimeout(entry.idle);
    const { keepAliveMs } = this.#options;
    if (entry.state.leases > 0 || entry.loaded === undefined) return;
    if (entry.dropped) this.#free(entry);
    else if (keepAliveMs !== undefined) {
      entry.idle = setTimeout(() => this.#free(entry), keepAliveMs).unref();
    }
  }

  #free(entry: Entry): void {
    const { loaded, state } = entry;
    entry.loaded = undefined;
    state.totals = undefined;
    const freed: Promise<void> = free(loaded).finally(() => {
      this.#freeing.delete(freed);
      this.#options.onLoad("released", state.model);
    });
    this.#freeing.add(freed);
  }
}

function loadWith(load: Loaders, model: LocalModel) {
  switch (model.stage) {
    case "stt":
      return load.stt(model);
    case "llm":
      return load.llm(model);
    case "tts":
      return load.tts(model);
  }
}

async function free(loading: Entry["loaded"]): Promise<void> {
  const loaded = await loading?.catch(() => undefined);
  if (loaded === undefined) return;
  if (Symbol.asyncDispose in loaded) await loaded[Symbol.asyncDispose]();
  // Models of sherpa-onnx have no dispose: they are freed with the last reference to them.
  else setImmediate(() => Bun.gc(true));
}
