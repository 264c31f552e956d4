import type { Logger } from "pino";
import type { ListedModel, ModelService, OfflineSetup } from "../domain/catalog.ts";
import type { ProviderSettingsService } from "../domain/provider.ts";

export interface OfflineSetupOptions {
  models: ModelService;
  providers: Pick<ProviderSettingsService, "overview" | "useLocal">;
  logger: Pick<Logger, "warn">;
}

/** Downloads the recommended models, and has the stages use them once all are present. */
export class RecommendedSetup implements OfflineSetup, Disposable {
  readonly #options: OfflineSetupOptions;
  readonly #subscription: Disposable;
  readonly #listeners = new Set<() => void>();
  #wanted: readonly ListedModel[] = [];

  constructor(options: OfflineSetupOptions) {
    this.#options = options;
    this.#subscription = options.models.subscribe(() => void this.#useWhenComplete());
  }

  get underWay(): boolean {
    return this.#wanted.length > 0;
  }

  async plan(language?: string): Promise<ListedModel[]> {
    const { models, providers } = this.#options;
    const free = providers.overview().filter(({ fixedBy }) => fixedBy === undefined);
    const list = await models.list(language);
    return list.filter(
      ({ model, recommended }) => recommended && free.some(({ stage }) => stage === model.stage),
    );
  }

  async begin(language?: string): Promise<void> {
    this.#wanted = await this.plan(language);
    this.#notify();
    await this.#options.models.download(this.#wanted.map(({ model }) => model.id));
    await this.#useWhenComplete();
  }

  cancel(): void {
    const wanted = this.#wanted;
    this.#wanted = [];
    for (const { model } of wanted) this.#options.models.cancel(model.id);
    this.#notify();
  }

  subscribe(onChange: () => void): Disposable {
    this.#listeners.add(onChange);
    return { [Symbol.dispose]: () => this.#listeners.delete(onChange) };
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }

  async #useWhenComplete(): Promise<void> {
    const wanted = this.#wanted;
    if (wanted.length === 0) return;
    try {
      const found = await Promise.all(
        wanted.map(({ model }) => this.#options.models.find(model.id)),
      );
      const complete = found.every(({ state }) => state.state === "present");
      // A concurrent check may have finished first.
      if (!complete || this.#wanted !== wanted) return;
      this.#wanted = [];
      for (const { model } of wanted) this.#options.providers.useLocal(model.stage, model);
      this.#notify();
    } catch (error) {
      this.#options.logger.warn({ err: error }, "the downloaded models could not be selected");
    }
  }

  [Symbol.dispose](): void {
    this.#subscription[Symbol.dispose]();
  }
}
