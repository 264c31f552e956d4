import { statSync } from "node:fs";
import { type LocalModel, pathsOf } from "../domain/model.ts";

/** A model that ended its process this many times while it was loaded is not loaded again. */
const MAX_CRASHES = 2;
/** More models than anybody tries; the oldest are forgotten. */
const MAX_REMEMBERED = 100;

/**
 * Models that ended the process that loaded them. A model is remembered by its files, with their
 * sizes and times, so that one that was repaired is tried again and no other is.
 */
export class BrokenModels {
  readonly #crashes = new Map<string, { times: number; why: string }>();

  /**
   * Remembers that a model ended its process.
   *
   * @param why the message for the person who wants to use it
   * @param isFinal whether another attempt would only take as long
   */
  add(model: LocalModel, why: string, isFinal: boolean): void {
    const files = fingerprint(model);
    const times = isFinal ? MAX_CRASHES : (this.#crashes.get(files)?.times ?? 0) + 1;
    this.#crashes.delete(files);
    this.#crashes.set(files, { times, why });
    const [oldest] = this.#crashes.keys();
    if (this.#crashes.size > MAX_REMEMBERED && oldest) this.#crashes.delete(oldest);
  }

  /** By id: why these models must not be loaded again. */
  among(models: readonly LocalModel[]): Record<string, string> {
    const found = models.flatMap((model) => {
      const crash = this.#crashes.get(fingerprint(model));
      if (crash === undefined || crash.times < MAX_CRASHES) return [];
      return [[model.id, `${crash.why} It is tried again when its files have changed.`]];
    });
    return Object.fromEntries(found);
  }
}

function fingerprint(model: LocalModel): string {
  const files = pathsOf(model).map((path) => {
    const { size, mtimeMs } = statSync(path, { throwIfNoEntry: false }) ?? {};
    return [path, size, mtimeMs];
  });
  return JSON.stringify([model.kind, ...files]);
}
