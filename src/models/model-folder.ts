import { existsSync, statSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { CatalogModel, ModelState } from "../domain/catalog.ts";
import type { LocalModel } from "../domain/model.ts";
import type { Stage } from "../domain/stage.ts";
import { Failure } from "../errors.ts";
import { lock } from "../lib/lock.ts";
import { modelFromFiles } from "./model-files.ts";
import { isExtended, isPublishedByPiper, PIPER_TOKENS } from "./piper-voice.ts";
import { filesIn } from "./resolve-model.ts";

/** The state of a model in `folder`, judged by the sizes of its files; a download verified them. */
export function storedState(
  folder: string,
  model: CatalogModel,
): Extract<ModelState, { state: "present" | "absent" }> {
  let present = !isPublishedByPiper(model) || existsSync(join(folder, model.id, PIPER_TOKENS));
  let kept = 0;
  for (const file of model.files) {
    const { path, bytes } = file;
    const to = join(folder, model.id, path);
    const size = sizeOf(to);
    if (size === bytes || (size > bytes && isExtended(model, file))) kept += bytes;
    else {
      present = false;
      kept += sizeOf(`${to}.part`);
    }
  }
  return present ? { state: "present" } : { state: "absent", kept };
}

/**
 * Finds the files of a downloaded model.
 * @throws Failure when some are missing
 */
export function downloadedModel(
  folder: string,
  stage: Stage,
  { id, kind }: { id: string; kind: string },
): LocalModel {
  const own = join(folder, id);
  const paths = existsSync(own)
    ? filesIn(own).filter((path) => !/\.part(\.etag)?$/.test(path))
    : [];
  try {
    return modelFromFiles(stage, kind, { id, folder: own, paths });
  } catch (error) {
    throw new Failure(
      "unavailable",
      `The model ${id} is not downloaded. Download it on the Models page, or with: parley models pull ${id}`,
      { cause: error },
    );
  }
}

/** Deletes a model, and the partial files of a download. */
export async function removeModel(folder: string, id: string): Promise<void> {
  const own = join(folder, id);
  if (!existsSync(own)) return;
  // A download holds this lock.
  await using _lock = await lock(join(folder, `.${id}.lock`), {
    signal: AbortSignal.timeout(5000),
  });
  await rm(own, { recursive: true, force: true });
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
