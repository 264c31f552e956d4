import { z } from "zod";
import type { CatalogModel } from "./catalog.ts";
import { serverAddress } from "./server-address.ts";
import type { Speaker } from "./speaker.ts";
import { STAGES, type Stage } from "./stage.ts";

/** A text of one line; `what` names it in error messages. */
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

/** In the form of `OPENAI_BASE_URL`. A password would be shown, and a query would be lost. */
export const providerUrl = line("the address", 2048)
  .transform((written, context) => {
    const address = serverAddress(written);
    if (address !== undefined) return address;
    context.addIssue({
      code: "custom",
      message: "the address must be an http:// or https:// URL, such as http://127.0.0.1:11434/v1",
    });
    return z.NEVER;
  })
  .refine((url) => {
    const { username, password, search, hash } = new URL(url);
    return username + password + search + hash === "";
  }, "the address must not contain a user name, password, query or fragment");

export const providerModel = line("the model", 256);
export const providerVoice = line("the voice", 64);

/** What serves a stage, as chosen on the Models page. */
export const stageChoice = z.discriminatedUnion("use", [
  z.strictObject({ use: z.literal("openai") }),
  z.strictObject({
    use: z.literal("endpoint"),
    base_url: providerUrl,
    api_key: providerKey.optional(),
    model: providerModel.optional(),
    /** For speech synthesis only. */
    voice: providerVoice.optional(),
    /** For speech recognition only: whether to use the realtime WebSocket; automatic if missing. */
    realtime: z.boolean().optional(),
  }),
  /** A downloaded model; its kind allows finding its files without the catalogue. */
  z.strictObject({
    use: z.literal("local"),
    model: providerModel,
    kind: z.string(),
    /** For speech synthesis only: a speaker of the model. */
    voice: providerVoice.optional(),
  }),
]);
export type StageChoice = z.infer<typeof stageChoice>;

/** The server of a realtime model, as chosen on the Models page. */
export const speechToSpeechChoice = z.strictObject({
  base_url: providerUrl,
  api_key: providerKey.optional(),
  model: providerModel,
  voice: providerVoice,
});
export type SpeechToSpeechChoice = z.infer<typeof speechToSpeechChoice>;

/** The stored choices. They contain keys and must never be shown or logged. */
export const providerSettings = z.strictObject({
  openai_api_key: providerKey.optional(),
  stages: z.partialRecord(z.enum(STAGES), stageChoice).default({}),
  /** Present: one realtime model serves all stages. */
  speech_to_speech: speechToSpeechChoice.optional(),
  /** What takes over when a stage fails. */
  fallbacks: z.partialRecord(z.enum(STAGES), stageChoice).optional(),
});
export type ProviderSettings = z.infer<typeof providerSettings>;

/** A provider as pages show it, without secrets. */
export interface ProviderOverview {
  use: StageChoice["use"];
  /** For OpenAI or another endpoint. */
  baseURL: string | undefined;
  model: string | undefined;
  voice: string | undefined;
  /** Whether speech recognition uses the realtime WebSocket; undefined: automatic. */
  realtime?: boolean | undefined;
  /** Whether a key is stored for the endpoint. */
  hasKey: boolean;
  /** The environment variable that decides the stage; the page cannot change it then. */
  fixedBy: string | undefined;
  /** Why it cannot serve and what to do; undefined when it can be tried. */
  problem: string | undefined;
}

/** What serves a stage. */
export interface StageOverview extends ProviderOverview {
  stage: Stage;
  /** What takes over when it fails. */
  second?: ProviderOverview | undefined;
}

/** Whether one realtime model serves all stages, and which; without secrets. */
export interface SpeechToSpeechOverview {
  /** Whether conversations use it unless they ask for the stages. */
  chosen: boolean;
  baseURL: string;
  model: string;
  voice: string;
  hasKey: boolean;
  /** The environment variable that decides it; the page cannot change it then. */
  fixedBy: string | undefined;
  /** Why it cannot serve and what to do; undefined when it can be tried. */
  problem: string | undefined;
}

/** A server with OpenAI's API that was found on this machine. */
export interface FoundServer {
  name: string;
  baseURL: string;
  models: string[];
}

/** A downloaded model as the page's form names it. */
export type LocalChoice = Pick<CatalogModel, "id" | "kind"> & { voice?: string | undefined };

/** A server as the page's form names it. */
export type Endpoint = Omit<Extract<StageChoice, { use: "endpoint" }>, "use">;
/** The servers to use, by stage. */
export type EndpointChoices = Partial<Record<Stage, Endpoint>>;

/** What a server offers for a stage. */
export interface OfferedNames {
  /** The address that works. */
  baseURL: string;
  /** Empty when the server lists none. */
  models: string[];
  voices: string[];
}

/** What came of a stage's test; times in ms. */
export interface StageTest {
  stage: Stage;
  /** Until the first word or sound. */
  firstMs: number;
  totalMs: number;
  /** What was answered, said or heard. */
  text: string;
  /** For the voice. */
  sound?: { bytes: Uint8Array<ArrayBuffer>; type: string };
  /** For speech recognition: whether words arrive during speech. */
  realtime?: boolean;
}

/** Reads and changes what serves each stage; changes apply to the next session. */
export interface ProviderSettingsService {
  overview(): StageOverview[];
  /** Whether an OpenAI key is stored. */
  readonly hasOpenAiKey: boolean;
  /**
   * Stages that the environment decides stay unchanged.
   * @param key undefined: the stored key
   * @throws Failure `invalid` (no key, or it is refused), `upstream_failed`
   */
  useOpenAi(stages: readonly Stage[], key: string | undefined): Promise<void>;
  /**
   * Finds the servers and settles the names with what they list; nothing is stored unless all
   * are right. `api_key` undefined: the key that is stored for the same address, if any.
   *
   * @throws Failure `invalid` or `upstream_failed`
   */
  useEndpoints(endpoints: EndpointChoices): Promise<void>;
  /** What a server offers for a stage. @throws Failure as `useEndpoints` */
  offered(stage: Stage, endpoint: Endpoint): Promise<OfferedNames>;
  useLocal(stage: Stage, model: LocalChoice): void;
  /** The speakers of a downloaded voice; none if its files are missing. */
  speakers(model: { id: string; kind: string }): Promise<Speaker[]>;
  /** The speakers of the local voice that serves conversations; none if a server does. */
  speakersInUse(): Promise<Speaker[]>;
  speechToSpeech(): SpeechToSpeechOverview;
  /**
   * Has one realtime model serve all stages; with undefined, the stages are served again.
   * @throws Failure `conflict` when the environment decides, `unavailable` or `upstream_failed`
   */
  useSpeechToSpeech(choice: SpeechToSpeechChoice | undefined): Promise<void>;
  /**
   * Chooses what takes over when a stage fails.
   * @param choice undefined: nothing
   * @throws Failure as above, and `conflict` if a variable decides it
   */
  useSecond(stage: Stage, choice: StageChoice | undefined): Promise<void>;
  /** Deletes all stored keys and choices. */
  forget(): void;
  /** Servers on this machine; they are searched for at most every half minute. */
  localServers(): Promise<FoundServer[]>;
}
