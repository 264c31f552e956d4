import { z } from "zod";
import { STAGES } from "./stage.ts";

export const MODEL_SIZES = ["small", "medium", "large"] as const;
export type ModelSize = (typeof MODEL_SIZES)[number];

/** Names a folder, so it holds nothing that leads elsewhere. */
export const modelId = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, "is no name of a model")
  .refine((id) => !id.includes(".."), "is no name of a model");

/** Inside the model's folder: no step up, no hidden file, nothing absolute. */
const relativePath = z
  .string()
  .max(200)
  .regex(/^(?![.])[A-Za-z0-9!._-]+(\/(?![.])[A-Za-z0-9!._-]+)*$/, "is no path inside the model");

const modelFile = z.strictObject({
  path: relativePath,
  url: z.url({ protocol: /^https?$/ }),
  bytes: z
    .int()
    .min(1)
    .max(2 ** 40),
  sha256: z.string().regex(/^[0-9a-f]{64}$/, "is no SHA-256 in hexadecimal digits"),
});
export type ModelFile = z.infer<typeof modelFile>;

/** A model that can be downloaded. */
export const catalogModel = z.strictObject({
  id: modelId,
  stage: z.enum(STAGES),
  /** How the engine loads it: see `LocalModel`. */
  kind: z.string().min(1).max(64),
  size: z.enum(MODEL_SIZES),
  name: z.string().min(1).max(100),
  /** A sentence on what it is good for. */
  about: z.string().max(300),
  languages: z.array(z.string().regex(/^[a-z]{2,3}(-[A-Za-z0-9]+)*$/)).min(1),
  licence: z.string().min(1).max(100),
  /** Bytes of memory that it takes while it runs, about. */
  memory: z.int().min(0),
  files: z.array(modelFile).min(1).max(2000),
});
export type CatalogModel = z.infer<typeof catalogModel>;

export type Catalog = readonly CatalogModel[];

/** Bytes of all its files. */
export function bytesOf(model: CatalogModel): number {
  return model.files.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** How a model of the catalogue is on this machine. */
export type ModelState =
  | { state: "absent" /** Bytes of a download that was cut short. */; kept: number }
  | { state: "waiting" }
  | { state: "downloading"; received: number; total: number; bytesPerSecond: number }
  | { state: "failed"; message: string }
  | { state: "present" };

export interface ListedModel {
  model: CatalogModel;
  state: ModelState;
  /** Whether it suits this machine best of its stage. */
  recommended: boolean;
}

/** The catalogue with what of it is on this machine, and its downloads. */
export interface ModelService {
  /** @throws Failure when one's own catalogue cannot be read */
  list(): Promise<ListedModel[]>;
  /** @throws Failure `not_found` */
  find(id: string): Promise<ListedModel>;
  /** Starts downloads, which go on by themselves one after the other. @throws Failure `not_found` */
  download(ids: readonly string[]): Promise<void>;
  cancel(id: string): void;
  /** Removes its files, also those of a download that was cut short. @throws Failure */
  remove(id: string): Promise<void>;
  /** Told of every change, some times a second while a download goes on. */
  subscribe(onChange: () => void): Disposable;
  /** Where the files are. */
  readonly folder: string;
}

/** The way to a Parley without any account: the models that suit this machine, for every stage. */
export interface OfflineSetup {
  /** The models it would use; none for stages that a variable decides. @throws Failure */
  plan(): Promise<ListedModel[]>;
  /** Whether they are being downloaded to be used. */
  readonly underWay: boolean;
  /** Downloads them; once all are there, their stages use them. @throws Failure */
  begin(): Promise<void>;
  cancel(): void;
  /** Told when it begins, ends or is cancelled. */
  subscribe(onChange: () => void): Disposable;
}
