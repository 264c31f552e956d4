import type { Logger } from "pino";
import type {
  Catalog,
  CatalogModel,
  ListedModel,
  ModelService,
  ModelState,
} from "../domain/catalog.ts";
import { Failure } from "../errors.ts";
import { downloadModel } from "./download.ts";
import type { HuggingFace } from "./hugging-face.ts";
import type { Machine } from "./machine.ts";
import { removeModel, storedState } from "./model-folder.ts";
import { type Recommendation, recommend } from "./recommend.ts";

export interface ModelLibraryOptions {
  /** `$DATA_DIR/models`. */
  folder: string;
  catalog(): Promise<Catalog>;
  machine(): Promise<Machine>;
  /** The language of a person who has not said another one, as a BCP 47 tag. */
  language?: string | undefined;
  logger: Pick<Logger, "info" | "warn" | "error">;
  huggingFace?: HuggingFace | undefined;
  stallMs?: number | undefined;
  /** How often listeners are notified of progress, in ms. */
  notifyMs?: number | undefined;
}

interface Job {
  model: CatalogModel;
  abort: AbortController;
  state: Extract<ModelState, { state: "waiting" | "downloading" | "failed" }>;
}

const NOTIFY_MS = 300;
const DEFAULT_LANGUAGE = "en";

/** The local models and their downloads, which run one after the other. */
export class ModelLibrary implements ModelService, AsyncDisposable {
  readonly folder: string;
  readonly #options: ModelLibraryOptions;
  readonly #jobs = new Map<string, Job>();
  readonly #listeners = new Set<() => void>();
  #running: Promise<void> = Promise.resolve();
  #notifiedAt = 0;
  #closed = false;

  constructor(options: ModelLibraryOptions) {
    this.#options = options;
    this.folder = options.folder;
  }

  async list(language?: string): Promise<ListedModel[]> {
    const catalog = await this.#options.catalog();
    const { models } = await this.#recommend(catalog, language);
    return catalog.map((model) => {
      const best = models[model.stage];
      return {
        ...this.#listed(model),
        recommended: best?.id === model.id,
        reason: best?.id === model.id ? best.reason : undefined,
      };
    });
  }

  async warning(language?: string): Promise<string | undefined> {
    return (await this.#recommend(await this.#options.catalog(), language)).warning;
  }

  async #recommend(catalog: Catalog, language: string | undefined): Promise<Recommendation> {
    const machine = await this.#options.machine();
    return recommend(catalog, machine, this.#options.language ?? language ?? DEFAULT_LANGUAGE);
  }

  #listed(model: CatalogModel): ListedModel {
    const state = this.#jobs.get(model.id)?.state ?? storedState(this.folder, model);
    return { model, state, recommended: false };
  }

  async find(id: string): Promise<ListedModel> {
    const model = (await this.#options.catalog()).find((one) => one.id === id);
    if (!model) throw new Failure("not_found", "There is no such model in the catalogue.");
    return this.#listed(model);
  }

  /** The languages of a model; undefined for one that is not in the catalogue. */
  async languagesOf(id: string): Promise<readonly string[] | undefined> {
    const catalog = await this.#options.catalog();
    return catalog.find((model) => model.id === id)?.languages;
  }

  async download(ids: readonly string[]): Promise<void> {
    const models = await Promise.all(ids.map((id) => this.find(id)));
    for (const { model } of models) {
      // Another call may have queued it meanwhile.
      const { state } = this.#listed(model);
      if (state.state === "present" || state.state === "waiting" || state.state === "downloading") {
        continue;
      }
      const job: Job = { model, abort: new AbortController(), state: { state: "waiting" } };
      this.#jobs.set(model.id, job);
      this.#running = this.#running.then(() => this.#run(job));
    }
    this.#notify();
  }

  async #run(job: Job): Promise<void> {
    const { model, abort } = job;
    if (abort.signal.aborted || this.#closed) return;
    const { logger } = this.#options;
    logger.info({ model: model.id }, "downloading a model");
    try {
      await downloadModel(model, {
        folder: this.folder,
        huggingFace: this.#options.huggingFace,
        signal: abort.signal,
        stallMs: this.#options.stallMs,
        onProgress: (progress) => {
          job.state = { state: "downloading", ...progress };
          this.#notifyOfProgress();
        },
      });
      this.#jobs.delete(model.id);
      logger.info({ model: model.id }, "a model was downloaded");
    } catch (error) {
      if (abort.signal.aborted) this.#forget(job);
      else this.#fail(job, error);
    }
    this.#notify();
  }

  #fail(job: Job, error: unknown): void {
    const context = { err: error, model: job.model.id };
    if (error instanceof Failure) {
      this.#options.logger.warn(context, "a model could not be downloaded");
      job.state = { state: "failed", message: error.message };
      return;
    }
    this.#options.logger.error(context, "a model could not be downloaded");
    job.state = {
      state: "failed",
      message: "The model could not be saved. See the log for details.",
    };
  }

  cancel(id: string): void {
    const job = this.#jobs.get(id);
    if (!job) return;
    job.abort.abort();
    this.#forget(job);
    this.#notify();
  }

  /** Removes a job, unless a newer one for the same model has replaced it. */
  #forget(job: Job): void {
    if (this.#jobs.get(job.model.id) === job) this.#jobs.delete(job.model.id);
  }

  async remove(id: string): Promise<void> {
    const { model } = await this.find(id);
    this.cancel(id);
    await removeModel(this.folder, model.id).catch((error: unknown) => {
      throw new Failure("conflict", `${model.name} could not be removed: is it being downloaded?`, {
        cause: error,
      });
    });
    this.#notify();
  }

  subscribe(onChange: () => void): Disposable {
    this.#listeners.add(onChange);
    return { [Symbol.dispose]: () => this.#listeners.delete(onChange) };
  }

  #notifyOfProgress(): void {
    const { notifyMs = NOTIFY_MS } = this.#options;
    if (performance.now() - this.#notifiedAt >= notifyMs) this.#notify();
  }

  #notify(): void {
    this.#notifiedAt = performance.now();
    for (const listener of this.#listeners) listener();
  }

  /** Stops the downloads; they can be resumed after the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const { abort } of this.#jobs.values()) abort.abort();
    await this.#running;
  }
}
