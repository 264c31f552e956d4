import { isDeepStrictEqual } from "node:util";
import type { EngineSettings } from "../domain/engine-settings.ts";
import type { LocalModel } from "../domain/model.ts";
import type { Stage } from "../domain/stage.ts";
import { Failure, messageOf } from "../errors.ts";
import { checkModelFiles, loadFailure } from "./check-model.ts";
import { FairQueue } from "./fair-queue.ts";
import { type LanguageModel, languageModelLoader } from "./language-model.ts";
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
    tts: (model) => loadChecked(model, async () => loadVoice(await loadSherpa(), model)),
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
  onLoad: (event: "loading" | "loaded" | "failed", model: LocalModel) => void;
}

/** A loaded model that stays in memory until the lease is disposed. */
export interface Lease<S extends Stage> extends Disposable {
  readonly model: LoadedModel[S];
  readonly id: string;
}

interface Entry {
  model: LocalModel;
  loaded: Promise<LoadedModel[Stage]> | undefined;
  leases: number;
  /** Whether it is no longer served. */
  dropped: boolean;
}

const STAGE_NAMES: Record<Stage, string> = {
  stt: "speech recognition",
  llm: "chat",
  tts: "speech",
};

/** The models that the engine serves; each is loaded once, when it is first needed. */
export class LoadedModels implements AsyncDisposable {
  readonly #options: LoadedModelsOptions;
  /** Models are loaded one at a time, so that it is clear which one ended the process. */
  readonly #loads = new FairQueue();
  #entries: Entry[] = [];
  /** By id: why models that ended an earlier engine process while loading are not loaded again. */
  #broken: ReadonlyMap<string, string> = new Map();

  constructor(options: LoadedModelsOptions) {
    this.#options = options;
  }

  get models(): LocalModel[] {
    return this.#entries.map(({ model }) => model);
  }

  /** Replaces the models that are served. A leased model is freed after its last lease. */
  use(models: readonly LocalModel[], broken: ReadonlyMap<string, string> = new Map()): void {
    const old = this.#entries;
    this.#broken = broken;
    this.#entries = models.map(
      (model) =>
        old.find((entry) => isDeepStrictEqual(entry.model, model)) ?? {
          model,
          loaded: undefined,
          leases: 0,
          dropped: false,
        },
    );
    for (const entry of old.filter((one) => !this.#entries.includes(one))) {
      entry.dropped = true;
      void freeIfUnused(entry);
    }
  }

  /**
   * Loads the model that a request names and leases it.
   *
   * @param id undefined: the only model of the stage
   * @throws Failure for a model that is not served or cannot be loaded
   */
  async acquire<S extends Stage>(stage: S, id: string | undefined): Promise<Lease<S>> {
    const entry = this.#find(stage, id);
    entry.leases += 1;
    let released = false;
    const release = () => {
      if (released) return;
      released = true;
      entry.leases -= 1;
      void freeIfUnused(entry);
    };
    try {
      // `#find` returned an entry of this stage.
      const model = (await this.#loaded(entry)) as LoadedModel[S];
      return { model, id: entry.model.id, [Symbol.dispose]: release };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** The files of a model that is served. @throws Failure if no model of this stage has this id */
  check<S extends Stage>(stage: S, id: string | undefined): LocalModel & { stage: S } {
    // `#find` returned an entry of this stage.
    return this.#find(stage, id).model as LocalModel & { stage: S };
  }

  /** Loads all models that are not loaded yet. @throws Failure of the first that cannot be loaded */
  async warmUp(): Promise<void> {
    await Promise.all(this.#entries.map((entry) => this.#loaded(entry)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.use([]);
  }

  #find(stage: Stage, id: string | undefined): Entry {
    const candidates = this.#entries.filter((entry) => entry.model.stage === stage);
    const found = candidates.find(({ model }) => model.id === id);
    if (found) return found;
    const [only] = candidates;
    if (id === undefined && only && candidates.length === 1) return only;
    const ids = candidates.map(({ model }) => model.id).join(", ") || "none";
    throw refusal(
      "not_found",
      `There is no model ${JSON.stringify(id ?? "")} for ${STAGE_NAMES[stage]} here. There are: ${ids}.`,
      { code: "model_not_found", param: "model" },
    );
  }

  #loaded(entry: Entry): Promise<LoadedModel[Stage]> {
    entry.loaded ??= this.#loads
      .run("", () => this.#load(entry.model))
      .catch((error) => {
        // The next request tries again, because the file may have been repaired by then.
        entry.loaded = undefined;
        throw error;
      });
    return entry.loaded;
  }

  async #load(model: LocalModel): Promise<LoadedModel[Stage]> {
    const broken = this.#broken.get(model.id);
    if (broken !== undefined) throw new Failure("unavailable", broken);
    const { load, onLoad } = this.#options;
    onLoad("loading", model);
    try {
      const loaded = await loadWith(load, model);
      onLoad("loaded", model);
      return loaded;
    } catch (error) {
      onLoad("failed", model);
      throw error;
    }
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

async function freeIfUnused(entry: Entry): Promise<void> {
  if (!entry.dropped || entry.leases > 0) return;
  const loaded = await entry.loaded?.catch(() => undefined);
  // Models of sherpa-onnx have no dispose: they are freed with the last reference to them.
  if (loaded && Symbol.asyncDispose in loaded) await loaded[Symbol.asyncDispose]();
}
