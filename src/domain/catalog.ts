import { z } from "zod";
import { STAGES } from "./stage.ts";

/** The address of Hugging Face, where most models are published. */
export const HUGGING_FACE = "https://huggingface.co";

export const MODEL_SIZES = ["small", "medium", "large"] as const;

/** It names a folder, so it cannot contain a path. */
export const modelId = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, "is not a valid model name")
  .refine((id) => !id.includes(".."), "is not a valid model name");

/** A path inside the model's folder: no parent folder, no hidden file, not absolute. */
const relativePath = z
  .string()
  .max(200)
  .regex(
    /^(?![.])[A-Za-z0-9!._-]+(\/(?![.])[A-Za-z0-9!._-]+)*$/,
    "is not a path inside the model's folder",
  );

const webAddress = z.url({ protocol: /^https?$/ });

/** Where a file is published. A source that is an archive names the member that is the file. */
const modelSource = z.strictObject({
  url: webAddress,
  member: z.string().min(1).max(300).optional(),
});
export type ModelSource = z.infer<typeof modelSource>;

const modelFile = z
  .strictObject({
    path: relativePath,
    /** Tried in order; an address alone stands for a source that is no archive. */
    sources: z
      .array(z.union([webAddress.transform((url): ModelSource => ({ url })), modelSource]))
      .optional(),
    /** A file's only source, as catalogues of earlier versions have it. */
    url: webAddress.optional(),
    bytes: z
      .int()
      .min(1)
      .max(2 ** 40),
    sha256: z.string().regex(/^[0-9a-f]{64}$/, "is not a SHA-256 in hexadecimal digits"),
  })
  .transform(({ url, sources = [], ...file }) => {
    const first: ModelSource[] = url === undefined ? [] : [{ url }];
    return { ...file, sources: [...first, ...sources] };
  })
  .refine(({ sources }) => sources.length > 0, "has neither url nor sources");
export type ModelFile = z.output<typeof modelFile>;

const languageTag = z.string().regex(/^[a-z]{2,3}(-[A-Za-z0-9]+)*$/);

/** A speaker of a voice model. */
const modelVoice = z.strictObject({
  /** What requests name it by: the speaker's name in the model's metadata, or its number. */
  id: z.string().min(1).max(64),
  name: z.string().min(1).max(100),
  language: languageTag,
  /** The address of a recording of it. */
  sample: webAddress.optional(),
});
export type ModelVoice = z.infer<typeof modelVoice>;

/** A model that can be downloaded. */
export const catalogModel = z.strictObject({
  id: modelId,
  stage: z.enum(STAGES),
  /** How the engine loads it; see `LocalModel`. */
  kind: z.string().min(1).max(64),
  size: z.enum(MODEL_SIZES),
  /** Whether it belongs to the starter set, which begins a conversation while others download. */
  starter: z.boolean().optional(),
  name: z.string().min(1).max(100),
  /** One sentence on what it is good for. */
  about: z.string().max(300),
  languages: z.array(languageTag).min(1),
  licence: z.string().min(1).max(100),
  /** The licence's text. */
  licenceUrl: webAddress.optional(),
  /** What the licence wants to be said of its authors. */
  attribution: z.string().min(1).max(300).optional(),
  /** Approximate memory that it takes while it runs, with a language model's context, in bytes. */
  memory: z.int().min(0),
  voices: z.array(modelVoice).max(1000).optional(),
  files: z.array(modelFile).min(1).max(2000),
});
export type CatalogModel = z.infer<typeof catalogModel>;

export type Catalog = readonly CatalogModel[];

/** The size of all files of a model, in bytes. */
export function bytesOf(model: CatalogModel): number {
  return model.files.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** The state of a catalogue model on this machine. */
export type ModelState =
  | { state: "absent" /** Bytes of an incomplete download. */; kept: number }
  | { state: "waiting" }
  | { state: "downloading"; received: number; total: number; bytesPerSecond: number }
  | { state: "failed"; message: string }
  | { state: "present" };

export interface ListedModel {
  model: CatalogModel;
  state: ModelState;
  /** Whether it is the one that suits this machine and the person's language best for its stage. */
  recommended: boolean;
  /** Why it is recommended, in a sentence. */
  reason?: string | undefined;
}

/** The catalogue with the local state of each model, and the downloads. */
export interface ModelService {
  /**
   * @param language the person's, which decides what is recommended
   * @throws Failure when the configured catalogue cannot be read
   */
  list(language?: string): Promise<ListedModel[]>;
  /** What a person should know before a download: that the machine is too small, and what to do. */
  warning(language?: string): Promise<string | undefined>;
  /** @throws Failure `not_found` */
  find(id: string): Promise<ListedModel>;
  /** Queues downloads, which run one after the other. @throws Failure `not_found` */
  download(ids: readonly string[]): Promise<void>;
  cancel(id: string): void;
  /** Deletes its files, including those of an incomplete download. @throws Failure */
  remove(id: string): Promise<void>;
  /** Calls `onChange` at every change, several times a second during a download. */
  subscribe(onChange: () => void): Disposable;
  /** The folder with the files. */
  readonly folder: string;
}

/** The setup without any account: the local models that suit this machine, for every stage. */
export interface OfflineSetup {
  /** The models it would use; none for stages that the environment decides. @throws Failure */
  plan(language?: string): Promise<ListedModel[]>;
  /** Whether the setup has begun and its downloads have not finished. */
  readonly underWay: boolean;
  /** Downloads the models; once all are present, their stages use them. @throws Failure */
  begin(language?: string): Promise<void>;
  cancel(): void;
  /** Calls `onChange` when the setup begins, ends or is cancelled. */
  subscribe(onChange: () => void): Disposable;
}
