import { appendFile, readFile, rename, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { CatalogModel, ModelFile } from "../domain/catalog.ts";
import { Failure } from "../errors.ts";
import { onnxMetadata } from "../lib/onnx-file.ts";

/** The settings beside a voice's network, `NAME.onnx.json`. */
const piperSettings = z.object({
  audio: z.object({ sample_rate: z.number() }),
  espeak: z.object({ voice: z.string() }),
  num_speakers: z.number(),
  language: z.object({ name_english: z.string() }),
  phoneme_id_map: z.record(z.string(), z.array(z.number())),
});

/** What sherpa-onnx needs of a voice besides what the Piper project publishes. */
export const PIPER_TOKENS = "tokens.txt";

/** Whether a model is a voice as the Piper project publishes it, which has to be prepared. */
export function isPublishedByPiper({ kind, files }: Pick<CatalogModel, "kind" | "files">): boolean {
  const has = (ending: string) => files.some(({ path }) => path.endsWith(ending));
  return kind === "piper" && has(".onnx.json") && !has(PIPER_TOKENS);
}

/** Whether preparing a voice makes this file longer. */
export function isExtended(model: Pick<CatalogModel, "kind" | "files">, file: ModelFile): boolean {
  return file.path.endsWith(".onnx") && isPublishedByPiper(model);
}

/**
 * Makes the files that the Piper project publishes a voice that sherpa-onnx loads: adds the settings
 * to the network's metadata, and lists the phonemes. Nothing happens to other models, nor twice.
 *
 * @param folder the model's own
 * @throws Failure when the settings are not those of a voice
 */
export async function preparePiperVoice(model: CatalogModel, folder: string): Promise<void> {
  if (!isPublishedByPiper(model)) return;
  for (const file of model.files.filter((one) => isExtended(model, one))) {
    const network = join(folder, file.path);
    const settings = await settingsOf(`${network}.json`);
    const metadata = piperMetadata(settings);
    if ((await stat(network)).size !== file.bytes + metadata.length) {
      await truncate(network, file.bytes);
      await appendFile(network, metadata);
    }
    // Written last and under its name at once, so that its presence says that the voice is ready.
    const tokens = join(folder, PIPER_TOKENS);
    await writeFile(`${tokens}.tmp`, piperTokens(settings));
    await rename(`${tokens}.tmp`, tokens);
  }
}

async function settingsOf(path: string): Promise<unknown> {
  const settings: unknown = JSON.parse(await readFile(path, "utf8"));
  const parsed = piperSettings.safeParse(settings);
  if (parsed.success) return settings;
  throw new Failure("unavailable", `${path} does not have the settings of a Piper voice`);
}

/**
 * The bytes to append to a Piper voice's .onnx, so that sherpa-onnx finds its properties there
 * (https://k2-fsa.github.io/sherpa/onnx/tts/piper.html).
 *
 * @param voice the voice's .onnx.json
 */
export function piperMetadata(voice: unknown): Uint8Array {
  const { audio, espeak, num_speakers, language } = piperSettings.parse(voice);
  const properties = {
    model_type: "vits",
    comment: "piper",
    language: language.name_english,
    voice: espeak.voice,
    has_espeak: "1",
    n_speakers: String(num_speakers),
    sample_rate: String(audio.sample_rate),
  };
  return onnxMetadata(properties);
}

/** Converts a Piper voice's phonemes to lines of `SYMBOL ID`. @param voice the voice's .onnx.json */
export function piperTokens(voice: unknown): string {
  const entries = Object.entries(piperSettings.parse(voice).phoneme_id_map);
  return entries.map(([symbol, [id]]) => `${symbol} ${id}\n`).join("");
}
