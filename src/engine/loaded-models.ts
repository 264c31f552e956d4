import { isDeepStrictEqual } from "node:util";
import type { LocalModel } from "../domain/model.ts";
import type { Stage } from "../domain/stage.ts";
import { Failure } from "../errors.ts";
import { FairQueue } from "./fair-queue.ts";
import type { LanguageModel } from "./language-model.ts";
import { refusal } from "./openai-error.ts";
import type { Recogniser } from "./recogniser.ts";
import type { Voice } from "./voice.ts";

/** What a loaded model of each stage can do. */
export interface Abilities {
  stt: Recogniser;
  llm: LanguageModel;
  tts: Voice;
}

export interface LoadedModelsOptions {
  /** Loads a model of each stage. @throws Failure that says what is wrong */
  load: { [S in Stage]: (model: LocalModel & { stage: S }) => Promise<Abilities[S]> };
  /** Told before and after each load: a native library may end the process in between. */
  onLoad: (event: "loading" | "loaded" | "failed", model: LocalModel) => void;
}

interface Entry {
  model: LocalModel;
  loaded: Promise<Abilities[Stage]> | undefined;
  users: number;
  dropped: boolean;
}

const NAMES: Record<Stage, string> = {
  stt: "speech recognition",
  llm: "chat",
  tts: "speech",
};

/** The models that the engine serves; each is loaded once, when it is first needed. */
export class LoadedModels implements AsyncDisposable {
  readonly #options: LoadedModelsOptions;
  /** One after the other: when a library ends the process, there is no doubt over which model. */
  readonly #loads = new FairQueue();
  #entries: Entry[] = [];
  /** Models that ended an earlier engine process as they were loaded, with what to say of them. */
  #broken: ReadonlyMap<string, string> = new Map();

  constructor(options: LoadedModelsOptions) {
    this.#options = options;
  }

  get models(): LocalModel[] {
    return this.#entries.map(({ model }) => model);
  }

  /** Replaces what is served. A model in use goes when its last request is over. */
  use(models: readonly LocalModel[], broken: ReadonlyMap<string, string> = new Map()): void {
    const old = this.#entries;
    this.#broken = broken;
    this.#entries = models.map(
      (model) =>
        old.find((entry) => isDeepStrictEqual(entry.model, model)) ?? {
          model,
          loaded: undefined,
          users: 0,
          dropped: false,
        },
    );
    for (const entry of old.filter((one) => !this.#entries.includes(one))) {
      entry.dropped = true;
      void letGo(entry);
    }
  }

  /**
   * The model that a request names, loaded, until it is disposed.
   *
   * @throws Failure for a model that is not served or cannot be loaded
   */
  async borrow<S extends Stage>(
    stage: S,
    id: string | undefined,
  ): Promise<Disposable & { model: Abilities[S]; id: string }> {
    const entry = this.#find(stage, id);
    entry.users += 1;
    let released = false;
    const release = () => {
      if (released) return;
      released = true;
      entry.users -= 1;
      void letGo(entry);
    };
    try {
      // The entry's stage is the one it was found by.
      const model = (await this.#loaded(entry)) as Abilities[S];
      return { model, id: entry.model.id, [Symbol.dispose]: release };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Whether a request may name this model. @throws Failure if not */
  check(stage: Stage, id: string): void {
    this.#find(stage, id);
  }

  /** Loads what is not loaded yet. @throws Failure of the first model that cannot be loaded */
  async warmUp(): Promise<void> {
    await Promise.all(this.#entries.map((entry) => this.#loaded(entry)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.use([]);
  }

  /** Without an id, the only one of the stage. */
  #find(stage: Stage, id: string | undefined): Entry {
    const candidates = this.#entries.filter((entry) => entry.model.stage === stage);
    const found = candidates.find(({ model }) => model.id === id);
    if (found) return found;
    const [only] = candidates;
    if (id === undefined && only && candidates.length === 1) return only;
    const ids = candidates.map(({ model }) => model.id).join(", ") || "none";
    throw refusal(
      "not_found",
      `There is no model ${JSON.stringify(id ?? "")} for ${NAMES[stage]} here. There are: ${ids}.`,
      { code: "model_not_found", param: "model" },
    );
  }

  #loaded(entry: Entry): Promise<Abilities[Stage]> {
    entry.loaded ??= this.#loads
      .run("", () => this.#load(entry.model))
      .catch((error) => {
        // The next request tries again: the file may have been mended meanwhile.
        entry.loaded = undefined;
        throw error;
      });
    return entry.loaded;
  }

  async #load(model: LocalModel): Promise<Abilities[Stage]> {
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

function loadWith(load: LoadedModelsOptions["load"], model: LocalModel) {
  switch (model.stage) {
    case "stt":
      return load.stt(model);
    case "llm":
      return load.llm(model);
    case "tts":
      return load.tts(model);
  }
}

async function letGo(entry: Entry): Promise<void> {
  if (!entry.dropped || entry.users > 0) return;
  const loaded = await entry.loaded?.catch(() => undefined);
  // Models of sherpa-onnx are freed with their last reference.
  if (loaded && Symbol.asyncDispose in loaded) await loaded[Symbol.asyncDispose]();
}
