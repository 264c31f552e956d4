import { basename } from "node:path";
import { z } from "zod";
import type { LocalTtsModel } from "../domain/model.ts";
import type { Speaker } from "../domain/speaker.ts";
import { readOnnxFile } from "./onnx-file.ts";

/** The part of a Piper voice's settings that says who speaks. */
const piperSettings = z.object({
  dataset: z.string().optional(),
  speaker_id_map: z.record(z.string(), z.int().min(0)).optional(),
  language: z.object({ code: z.string() }).optional(),
});

/** What the first letter of a Kokoro speaker says: its language. The second is its gender. */
const KOKORO_LANGUAGES: Readonly<Record<string, string>> = {
  a: "en-US",
  b: "en-GB",
  e: "es",
  f: "fr",
  h: "hi",
  i: "it",
  j: "ja",
  p: "pt-BR",
  z: "zh",
};
const GENDERS = { f: "female", m: "male" } as const;
/** More speakers than any model has; a damaged file may say anything. */
const MAX_SPEAKERS = 10_000;

/**
 * The speakers of a voice, in the order of their numbers, by its files; the model is not loaded.
 *
 * @throws Error of the file system
 */
export async function speakersOf(model: LocalTtsModel): Promise<Speaker[]> {
  switch (model.kind) {
    case "piper":
      return piperSpeakers(model.model, model.config);
    case "kokoro":
    case "kitten":
      return namedSpeakers(model.model);
    case "matcha":
      return numbered(propertiesOf(model.acousticModel));
    case "supertonic":
      return supertonicSpeakers(model.voices);
    case "pocket":
      return model.references.map((path) => recorded(path, "en"));
    case "zipvoice":
      return withTranscript(model).map(({ reference }) => recorded(reference, "mul"));
  }
}

/** The recordings that ZipVoice can speak like: those whose words are known. */
export function withTranscript(model: Extract<LocalTtsModel, { kind: "zipvoice" }>) {
  return model.references.flatMap((reference) => {
    const name = reference.replace(/\.wav$/, ".txt");
    const transcript = model.transcripts.find((path) => path === name);
    return transcript === undefined ? [] : [{ reference, transcript }];
  });
}

function propertiesOf(path: string): ReadonlyMap<string, string> {
  return readOnnxFile(path).properties;
}

async function piperSpeakers(path: string, config: string | undefined): Promise<Speaker[]> {
  const properties = propertiesOf(path);
  const settings = await settingsAt(config ?? `${path}.json`);
  const language = tagOf(settings?.language?.code ?? properties.get("voice") ?? "");
  const unnamed = numbered(properties).map((speaker) => ({ ...speaker, language }));
  for (const [name, number] of Object.entries(settings?.speaker_id_map ?? {})) {
    if (number in unnamed) unnamed[number] = { id: name, name, language, gender: undefined };
  }
  const [only, ...others] = unnamed;
  const { dataset } = settings ?? {};
  if (only === undefined || others.length > 0 || !dataset) return unnamed;
  return [{ ...only, id: dataset, name: capitalised(dataset) }];
}

/** A voice speaks without its settings too. */
async function settingsAt(path: string) {
  const value: unknown = await Bun.file(path)
    .json()
    .catch(() => undefined);
  return piperSettings.safeParse(value).data;
}

async function namedSpeakers(path: string): Promise<Speaker[]> {
  const properties = propertiesOf(path);
  const names = (properties.get("speaker_names") ?? "").split(",").map((name) => name.trim());
  return numbered(properties).map((speaker, number) => {
    const id = names[number];
    return id ? named(id) : speaker;
  });
}

/** Kokoro's `af_bella` is a female American; Kitten's `expr-voice-2-m` a man. */
function named(id: string): Speaker {
  const [, language = "", gender = "", name = ""] = /^([a-z])([fm])_(.+)$/.exec(id) ?? [];
  const kokoro = KOKORO_LANGUAGES[language];
  if (kokoro !== undefined) {
    return { id, name: capitalised(name), language: kokoro, gender: genderOf(gender) };
  }
  const ending = /[-_]([fm])$/.exec(id)?.[1] ?? "";
  // Kokoro's first speaker, `af`, is a blend of others.
  const isBlend = id === "af";
  return { id, name: id, language: "en-US", gender: isBlend ? "female" : genderOf(ending) };
}

function genderOf(letter: string): Speaker["gender"] {
  return letter === "f" || letter === "m" ? GENDERS[letter] : undefined;
}

/** Its file holds the styles of the women, then of the men, as many of each. */
async function supertonicSpeakers(path: string): Promise<Speaker[]> {
  const head = await Bun.file(path).slice(0, 8).bytes();
  const count = Math.min(Number(new DataView(head.buffer).getBigInt64(0, true)), MAX_SPEAKERS);
  return Array.from({ length: count }, (_, number) => {
    const isWoman = number < count / 2;
    const id = `${isWoman ? "F" : "M"}${isWoman ? number + 1 : number - Math.ceil(count / 2) + 1}`;
    return { id, name: id, language: "mul", gender: isWoman ? "female" : "male" };
  });
}

function recorded(path: string, language: string): Speaker {
  const id = basename(path, ".wav");
  return { id, name: capitalised(id), language, gender: undefined };
}

function numbered(properties: ReadonlyMap<string, string>): Speaker[] {
  const count = Number(properties.get("n_speakers") ?? 1);
  const language = tagOf(properties.get("voice") ?? properties.get("language") ?? "");
  const length = Number.isFinite(count) ? Math.min(Math.max(1, count), MAX_SPEAKERS) : 1;
  return Array.from({ length }, (_, number) => {
    return { id: `${number}`, name: `Speaker ${number}`, language, gender: undefined };
  });
}

/** espeak-ng's and Piper's languages as BCP 47 tags: `en-us`, `de_DE`, `cmn`, `English`. */
function tagOf(language: string): string {
  const [primary = "", region = ""] = language.replaceAll("_", "-").split("-");
  const known = { cmn: "zh", english: "en", chinese: "zh" }[primary.toLowerCase()];
  if (known === undefined && !/^[a-z]{2,3}$/i.test(primary)) return "und";
  const tag = known ?? primary.toLowerCase();
  return /^[a-z]{2}$/i.test(region) ? `${tag}-${region.toUpperCase()}` : tag;
}

function capitalised(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1);
}
