import { z } from "zod";
import { STAGES, type Stage } from "./stage.ts";

/** A text of one line, named in what is said of a wrong one. */
function line(what: string, max: number) {
  return z
    .string({ error: `${what} is missing` })
    .trim()
    .min(1, `${what} is missing`)
    .max(max, `${what} is longer than ${max} characters`)
    .refine((value) => !/\p{Cc}/u.test(value), `${what} has control characters`);
}

/** Characters of an API key: it is sent in an HTTP header, which allows no others. */
export const KEY_PATTERN = /^[\x21-\x7e]+$/;

export const providerKey = line("the key", 1024).refine(
  (key) => KEY_PATTERN.test(key),
  "the key may only contain printable ASCII characters, no spaces",
);

/** As `OPENAI_BASE_URL` takes it; a password in it would be shown, and a query goes nowhere. */
export const providerUrl = line("the address", 2048)
  .pipe(z.url({ protocol: /^https?$/, error: "the address must be an http:// or https:// URL" }))
  .refine((url) => {
    const { username, password, search, hash } = new URL(url);
    return username + password + search + hash === "";
  }, "the address may have no user name, password, query or fragment")
  .transform((url) => url.replace(/\/+$/, ""));

export const providerModel = line("the model", 256);
export const providerVoice = line("the voice", 64);

/** Who serves a stage, as somebody chose on the page. */
export const stageChoice = z.discriminatedUnion("use", [
  z.strictObject({ use: z.literal("openai") }),
  z.strictObject({
    use: z.literal("endpoint"),
    base_url: providerUrl,
    api_key: providerKey.optional(),
    model: providerModel.optional(),
    /** Of speech synthesis. */
    voice: providerVoice.optional(),
  }),
  /** A downloaded model, with its kind, so that its files are found without the catalogue. */
  z.strictObject({ use: z.literal("local"), model: providerModel, kind: z.string() }),
]);
export type StageChoice = z.infer<typeof stageChoice>;

/** What is stored of the choices. It holds keys: never to be shown or logged. */
export const providerSettings = z.strictObject({
  openai_api_key: providerKey.optional(),
  stages: z.partialRecord(z.enum(STAGES), stageChoice).default({}),
});
export type ProviderSettings = z.infer<typeof providerSettings>;

/** How a stage is served, without any secret. */
export interface StageOverview {
  stage: Stage;
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
  useOpenAi(stages: readonly Stage[], key: string | undefined): Promise<void>;
  /**
   * @param endpoint `api_key` undefined: the one that is stored for the same address, if any
   * @throws Failure `invalid` or `upstream_failed`
   */
  useEndpoint(
    stages: readonly Stage[],
    endpoint: Omit<Extract<StageChoice, { use: "endpoint" }>, "use">,
  ): Promise<void>;
  useLocal(stage: Stage, model: { id: string; kind: string }): void;
  /** Removes all keys and choices that are stored. */
  forget(): void;
  /** Servers on this machine; asked at most every half minute. */
  localServers(): Promise<FoundServer[]>;
}
