import { z } from "zod";
import { MODEL_STAGES, type ModelStage } from "./model.ts";

const text = (max: number) => z.string().trim().max(max, `is longer than ${max} characters`);

/** Goes into an HTTP header, which has no place for other characters. */
export const providerKey = text(1024)
  .min(1, "is missing")
  .regex(/^[\x21-\x7e]+$/, "may hold printable ASCII without spaces only");

/** As `OPENAI_BASE_URL` takes it; a password in it would be shown, and a query goes nowhere. */
export const providerUrl = text(2048)
  .pipe(z.url({ protocol: /^https?$/, error: "must be an http:// or https:// URL" }))
  .refine((url) => {
    const { username, password, search, hash } = new URL(url);
    return username + password + search + hash === "";
  }, "may have no user name, password, query or fragment; a key has its own field")
  .transform((url) => url.replace(/\/+$/, ""));

const modelName = text(256)
  .min(1, "is missing")
  .refine((name) => !/\p{Cc}/u.test(name), "has control characters");

/** Who serves a stage, as somebody chose on the page. */
export const stageChoice = z.discriminatedUnion("use", [
  z.strictObject({ use: z.literal("openai") }),
  z.strictObject({
    use: z.literal("endpoint"),
    base_url: providerUrl,
    api_key: providerKey.optional(),
    model: modelName.optional(),
    /** Of speech synthesis. */
    voice: modelName.optional(),
  }),
  /** A downloaded model, with its kind, so that its files are found without the catalogue. */
  z.strictObject({ use: z.literal("local"), model: modelName, kind: modelName }),
]);
export type StageChoice = z.infer<typeof stageChoice>;

/** What is stored of the choices. It holds keys: never to be shown or logged. */
export const providerSettings = z.strictObject({
  openai_api_key: providerKey.optional(),
  stages: z.partialRecord(z.enum(MODEL_STAGES), stageChoice).default({}),
});
export type ProviderSettings = z.infer<typeof providerSettings>;

/** How a stage is served, without any secret. */
export interface StageOverview {
  stage: ModelStage;
  use: StageChoice["use"];
  /** Of OpenAI or an endpoint. */
  baseURL: string | undefined;
  model: string | undefined;
  voice: string | undefined;
  /** Whether a key of its own goes with the endpoint. */
  hasKey: boolean;
  /** The variable that decides it, so that the page cannot. */
  fixedBy: string | undefined;
  /** Why it cannot serve, and what to do; undefined: it can be tried. */
  problem: string | undefined;
}

/** A server with OpenAI's API that runs on this machine. */
export interface FoundServer {
  name: string;
  baseURL: string;
  models: string[];
}

/** Reads and changes who serves each stage; a change counts from the next session on. */
export interface ProviderSettingsService {
  overview(): StageOverview[];
  /** Whether OpenAI's key is stored. */
  readonly hasOpenAiKey: boolean;
  /**
   * Stages that a variable decides are left as they are.
   * @param key undefined: the one that is stored
   * @throws Failure `invalid` (no key, or it is refused), `upstream_failed`
   */
  useOpenAi(stages: readonly ModelStage[], key: string | undefined): Promise<void>;
  /**
   * @param endpoint `api_key` undefined: the one that is stored for the same address, if any
   * @throws Failure `invalid` or `upstream_failed`
   */
  useEndpoint(
    stages: readonly ModelStage[],
    endpoint: Omit<Extract<StageChoice, { use: "endpoint" }>, "use">,
  ): Promise<void>;
  useLocal(stage: ModelStage, model: { id: string; kind: string }): void;
  /** Removes all keys and choices that are stored. */
  forget(): void;
  /** Servers on this machine; asked at most every half minute. */
  localServers(): Promise<FoundServer[]>;
}
