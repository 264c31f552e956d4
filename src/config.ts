import { join, resolve } from "node:path";
import { z } from "zod";
import { HUGGING_FACE } from "./domain/catalog.ts";
import { type EngineSettings, GPU_CHOICES } from "./domain/engine-settings.ts";
import { AUTOMATIC } from "./domain/language.ts";
import { KEY_PATTERN } from "./domain/provider.ts";
import { serverAddress } from "./domain/server-address.ts";
import { DEFAULT_SYSTEM_PROMPT, keyterms, languageChoice } from "./domain/session.ts";
import {
  OPENAI_DEFAULTS,
  OPENAI_URL,
  type SecondProviders,
  type SpeechToSpeechProvider,
  type Stage,
  type StageProviders,
} from "./domain/stage.ts";
import { Failure } from "./errors.ts";
import { isLoopback } from "./lib/loopback.ts";
import { listed } from "./lib/words.ts";

export interface LiveKitConfig {
  url: string;
  publicUrl: string;
  apiKey: string;
  apiSecret: string;
}

/** Everything that Parley reads from its environment, once, at start. Passed in, never global. */
export interface Config extends StageProviders {
  host: string;
  port: number;
  dev: boolean;
  dataDir: string;
  databasePath: string;
  /** Undefined: Parley runs its own LiveKit server. */
  livekit: LiveKitConfig | undefined;
  livekitPublicUrl: string | undefined;
  livekitServerBin: string | undefined;
  /** The variable that decides who serves a stage; undefined: the page's settings decide. */
  fixedBy: Readonly<Record<Stage, string | undefined>>;
  /** Local files that a stage's `…_MODEL` names, as a path or a file:// URL. */
  modelPaths: Readonly<Record<Stage, string | undefined>>;
  /** The second providers that variables name, and the same of them. */
  seconds: SecondProviders;
  fallbackFixedBy: Readonly<Record<Stage, string | undefined>>;
  fallbackPaths: Readonly<Record<Stage, string | undefined>>;
  /** Another catalogue of models, as a path or an http(s) URL. */
  modelsCatalog: string | undefined;
  /** Where files of Hugging Face come from, and the token for there. */
  huggingFace: { endpoint: string; token: string | undefined };
  engine: EngineSettings;
  speechToSpeech: SpeechToSpeechProvider;
  systemPrompt: string;
  greeting: string | undefined;
  /** The language that is spoken, as a BCP 47 tag; null: the recogniser finds out. */
  language: string | null;
  keyterms: readonly string[];
  corsOrigins: string[];
  redisUrl: string | undefined;
  authPassword: string | undefined;
  authDisabled: boolean;
  maxSessions: number;
  sessionMaxMs: number;
  sessionIdleMs: number;
  /** How long running conversations may go on when Parley is to end. */
  drainMs: number;
  logLevel: (typeof LOG_LEVELS)[number];
  logFormat: "pretty" | "json";
  otlpEndpoint: string | undefined;
}

const LOG_LEVELS = ["fatal", "error", "warn", "info", "debug", "trace", "silent"] as const;

/** Variables whose values must not appear in messages or logs. */
const SECRET = /(_KEY|_SECRET|PASSWORD)$/;
/** URLs may carry a password, which may contain any character when it is not percent-encoded. */
const URL_PASSWORD = /(\/\/[^/@:]*:).*@/s;

/** The address of a provider; its scheme may be missing. */
const providerAddress = z.string().transform((value, context) => {
  const address = serverAddress(value);
  if (address !== undefined) return address;
  context.addIssue({ code: "custom", message: "must be an http:// or https:// URL" });
  return z.NEVER;
});
const httpUrl = z.url({ protocol: /^https?$/, error: "must be an http:// or https:// URL" });
const liveKitUrl = z.url({
  protocol: /^(wss?|https?)$/,
  error: "must be a ws://, wss://, http:// or https:// URL",
});
const flag = z.enum(["true", "false"], { error: 'must be "true" or "false"' });
const text = z.string();
const apiKey = text.regex(KEY_PATTERN, "must be printable ASCII without spaces");

function integer(min: number, max: number) {
  const message = `must be a whole number from ${min} to ${max}`;
  return z
    .string()
    .regex(/^\d{1,9}$/, message)
    .transform(Number)
    .refine((value) => value >= min && value <= max, message);
}

function minutes(min: number, max: number) {
  const message = `must be a number of minutes from ${min} to ${max}`;
  return z
    .string()
    .regex(/^\d+(\.\d+)?$/, message)
    .transform(Number)
    .refine((value) => value >= min && value <= max, message);
}

const origins = z.string().transform((value, context) => {
  const list = value
    .split(",")
    .map((origin) => origin.trim().replace(/\/$/, ""))
    .filter((origin) => origin !== "");
  return list.map((origin) => {
    const normal = normalOrigin(origin);
    if (normal !== undefined) return normal;
    context.addIssue({
      code: "custom",
      message: "must be comma-separated origins such as https://example.org or http://localhost:*",
    });
    return z.NEVER;
  });
});

/** The origin as browsers write it, so that it can be compared; a port may be `*`. */
function normalOrigin(origin: string): string | undefined {
  const anyPort = origin.endsWith(":*");
  const url = URL.parse(anyPort ? origin.slice(0, -2) : origin);
  if (!url || !/^https?:$/.test(url.protocol) || url.hostname.includes("*")) return undefined;
  if (url.href !== `${url.origin}/`) return undefined;
  return anyPort ? `${url.protocol}//${url.hostname}:*` : url.origin;
}

/** The variables of local models, which `parley engine` reads as well. */
const engineVariables = {
  ENGINE_CONTEXT: integer(512, 131_072),
  ENGINE_THREADS: integer(1, 256),
  ENGINE_PARALLEL: integer(1, 64),
  ENGINE_KEEP_ALIVE_MINUTES: minutes(0, 1440),
  ENGINE_GPU: z.enum(GPU_CHOICES, { error: `must be one of ${GPU_CHOICES.join(", ")}` }),
  ENGINE_DENOISE: flag,
};

/** Every variable that Parley reads. A test keeps `.env.example` and the documentation complete. */
export const environment = z.object({
  HOST: text.refine((host) => /^[A-Za-z0-9.:_-]+$/.test(host), "must be a host name or address"),
  PORT: integer(0, 65535),
  DATA_DIR: text,
  /** Only the executable reads it, before anything else: see `embedded/cache-folder.ts`. */
  PARLEY_CACHE_DIR: text,
  DATABASE_URL: text.regex(/^file:.+/, "must be file: and a path"),
  LIVEKIT_URL: liveKitUrl,
  LIVEKIT_API_KEY: text,
  LIVEKIT_API_SECRET: text,
  LIVEKIT_PUBLIC_URL: liveKitUrl,
  LIVEKIT_SERVER_BIN: text,
  OPENAI_API_KEY: apiKey,
  OPENAI_BASE_URL: providerAddress,
  STT_BASE_URL: providerAddress,
  STT_API_KEY: apiKey,
  STT_MODEL: text,
  LLM_BASE_URL: providerAddress,
  LLM_API_KEY: apiKey,
  LLM_MODEL: text,
  LLM_THINKING: z.enum(["auto", "on", "off"], { error: 'must be "auto", "on" or "off"' }),
  LLM_PREPARE_ANSWERS: flag,
  TTS_BASE_URL: providerAddress,
  TTS_API_KEY: apiKey,
  TTS_MODEL: text,
  TTS_VOICE: text,
  REALTIME_BASE_URL: providerAddress,
  REALTIME_API_KEY: apiKey,
  REALTIME_MODEL: text,
  REALTIME_VOICE: text,
  STT_FALLBACK_BASE_URL: providerAddress,
  STT_FALLBACK_API_KEY: apiKey,
  STT_FALLBACK_MODEL: text,
  LLM_FALLBACK_BASE_URL: providerAddress,
  LLM_FALLBACK_API_KEY: apiKey,
  LLM_FALLBACK_MODEL: text,
  TTS_FALLBACK_BASE_URL: providerAddress,
  TTS_FALLBACK_API_KEY: apiKey,
  TTS_FALLBACK_MODEL: text,
  TTS_FALLBACK_VOICE: text,
  MODELS_CATALOG: text,
  HF_ENDPOINT: httpUrl.transform((url) => url.replace(/\/+$/, "")),
  HF_TOKEN: apiKey,
  ...engineVariables,
  STT_LANGUAGE: languageChoice,
  STT_KEYTERMS: text.transform(listed).pipe(keyterms),
  STT_REALTIME: z.enum(["auto", "true", "false"], {
    error: 'must be "auto", "true" or "false"',
  }),
  SYSTEM_PROMPT: text.max(8000, "must be at most 8000 characters"),
  GREETING: text.max(1000, "must be at most 1000 characters"),
  CORS_ORIGINS: origins,
  REDIS_URL: z.url({
    protocol: /^(rediss?|redis\+unix)$/,
    error: "must be a redis:// or rediss:// URL",
  }),
  AUTH_PASSWORD: text.min(8, "must have at least 8 characters"),
  AUTH_DISABLED: flag,
  MAX_SESSIONS: integer(1, 10000),
  SESSION_MAX_MINUTES: minutes(0.05, 1440),
  SESSION_IDLE_MINUTES: minutes(0.05, 1440),
  DRAIN_MINUTES: minutes(0, 1440),
  LOG_LEVEL: z.enum(LOG_LEVELS, { error: `must be one of ${LOG_LEVELS.join(", ")}` }),
  LOG_FORMAT: z.enum(["pretty", "json"], { error: 'must be "pretty" or "json"' }),
  OTEL_EXPORTER_OTLP_ENDPOINT: httpUrl,
});
const partialEnvironment = environment.partial();

/** Defaults that depend on how the process was started. */
export interface Surroundings {
  dev?: boolean;
  terminal?: boolean;
  defaultDataDir?: string;
}

/**
 * Reads the configuration.
 *
 * @param variables usually `process.env`; an empty value counts as unset
 * @throws Failure with one line that names the variable, what it holds (secrets masked) and what
 *   is allowed
 */
export function readConfig(
  variables: Record<string, string | undefined>,
  surroundings: Surroundings = {},
): Config {
  const config = assemble(parseVariables(partialEnvironment, variables), surroundings);
  refuseOpenHost(config);
  return config;
}

/** Reads how local models run, and no other variable. @throws Failure like `readConfig` */
export function readEngineSettings(variables: Record<string, string | undefined>): EngineSettings {
  return engineSettings(parseVariables(z.object(engineVariables).partial(), variables));
}

function parseVariables<S extends z.ZodRawShape>(
  schema: z.ZodObject<S>,
  variables: Record<string, string | undefined>,
): z.infer<z.ZodObject<S>> {
  const given: Record<string, string> = {};
  for (const name of Object.keys(schema.shape)) {
    const value = variables[name]?.trim();
    if (value) given[name] = value;
  }
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const name = String(issue?.path[0]);
  throw new Failure("invalid", `${name}=${masked(name, given[name])}: ${issue?.message}`);
}

type Variables = z.infer<typeof partialEnvironment>;

function assemble(env: Variables, surroundings: Surroundings): Config {
  const dataDir = resolve(env.DATA_DIR ?? surroundings.defaultDataDir ?? "./data");
  const dev = surroundings.dev ?? false;
  return {
    host: env.HOST ?? "127.0.0.1",
    port: env.PORT ?? 3000,
    dev,
    dataDir,
    databasePath: resolve(env.DATABASE_URL?.slice("file:".length) ?? join(dataDir, "parley.db")),
    livekit: liveKit(env),
    livekitPublicUrl: env.LIVEKIT_PUBLIC_URL && socketUrl(env.LIVEKIT_PUBLIC_URL),
    livekitServerBin: env.LIVEKIT_SERVER_BIN,
    ...providers(env),
    seconds: secondProviders(env),
    fixedBy: eachStage((stage) => decidingVariable(env, stage)),
    modelPaths: eachStage((stage) => filesNamed(env[`${stage}_MODEL`])),
    speechToSpeech: speechToSpeech(env),
    fallbackFixedBy: eachStage((stage) => decidingFallback(env, stage)),
    fallbackPaths: eachStage((stage) => filesNamed(env[`${stage}_FALLBACK_MODEL`])),
    modelsCatalog: env.MODELS_CATALOG,
    huggingFace: {
      endpoint: env.HF_ENDPOINT ?? HUGGING_FACE,
      token: env.HF_TOKEN,
    },
    engine: engineSettings(env),
    systemPrompt: env.SYSTEM_PROMPT ?? DEFAULT_SYSTEM_PROMPT,
    greeting: env.GREETING,
    language: env.STT_LANGUAGE === AUTOMATIC ? null : (env.STT_LANGUAGE ?? null),
    keyterms: env.STT_KEYTERMS ?? [],
    corsOrigins: env.CORS_ORIGINS ?? (dev ? ["http://localhost:*", "http://127.0.0.1:*"] : []),
    redisUrl: env.REDIS_URL,
    authPassword: env.AUTH_PASSWORD,
    authDisabled: env.AUTH_DISABLED === "true",
    maxSessions: env.MAX_SESSIONS ?? 20,
    sessionMaxMs: (env.SESSION_MAX_MINUTES ?? 60) * 60_000,
    sessionIdleMs: (env.SESSION_IDLE_MINUTES ?? 5) * 60_000,
    drainMs: (env.DRAIN_MINUTES ?? 5) * 60_000,
    logLevel: env.LOG_LEVEL ?? "info",
    logFormat: env.LOG_FORMAT ?? (surroundings.terminal ? "pretty" : "json"),
    otlpEndpoint: env.OTEL_EXPORTER_OTLP_ENDPOINT,
  };
}

function engineSettings(env: Pick<Variables, keyof typeof engineVariables>): EngineSettings {
  return {
    contextTokens: env.ENGINE_CONTEXT,
    threads: env.ENGINE_THREADS,
    parallel: env.ENGINE_PARALLEL,
    keepAliveMs: (env.ENGINE_KEEP_ALIVE_MINUTES ?? 5) * 60_000,
    // Macs have their GPU's library already; others would download one.
    gpu: env.ENGINE_GPU ?? (process.platform === "darwin" ? "auto" : "off"),
    denoise: env.ENGINE_DENOISE === "true",
  };
}

/** A stage's own server never receives the key meant for OpenAI's (or another stage's). */
function providers(env: Variables): StageProviders {
  const shared = { baseURL: env.OPENAI_BASE_URL ?? OPENAI_URL, apiKey: env.OPENAI_API_KEY };
  const stage = (baseURL?: string, apiKey?: string) => ({
    baseURL: baseURL ?? shared.baseURL,
    apiKey: apiKey ?? (baseURL === undefined ? shared.apiKey : undefined),
  });
  const realtime = env.STT_REALTIME ?? "auto";
  const { llm, tts, voice } = OPENAI_DEFAULTS;
  return {
    stt: {
      ...stage(env.STT_BASE_URL, env.STT_API_KEY),
      model: env.STT_MODEL,
      realtime: realtime === "auto" ? "auto" : realtime === "true",
    },
    llm: {
      ...stage(env.LLM_BASE_URL, env.LLM_API_KEY),
      model: env.LLM_MODEL ?? llm,
      thinking: env.LLM_THINKING,
      prepares: env.LLM_PREPARE_ANSWERS === "false" ? false : undefined,
    },
    tts: {
      ...stage(env.TTS_BASE_URL, env.TTS_API_KEY),
      model: env.TTS_MODEL ?? tts,
      voice: env.TTS_VOICE ?? voice,
    },
  };
}

/** The second providers that the environment names, except those that are local files. */
function secondProviders(env: Variables): SecondProviders {
  const { llm, tts, voice } = OPENAI_DEFAULTS;
  const endpoint = (prefix: StagePrefix) => {
    const isNamed = decidingFallback(env, prefix) !== undefined;
    if (!isNamed || filesNamed(env[`${prefix}_FALLBACK_MODEL`]) !== undefined) return undefined;
    const shared = env.OPENAI_BASE_URL ?? OPENAI_URL;
    const baseURL = env[`${prefix}_FALLBACK_BASE_URL`] ?? shared;
    const own = env[`${prefix}_FALLBACK_API_KEY`];
    // The shared key belongs to the shared server, and to no other.
    return { baseURL, apiKey: own ?? (baseURL === shared ? env.OPENAI_API_KEY : undefined) };
  };
  const [sttAt, llmAt, ttsAt] = [endpoint("STT"), endpoint("LLM"), endpoint("TTS")];
  return {
    stt: sttAt && { ...sttAt, model: env.STT_FALLBACK_MODEL, realtime: false },
    llm: llmAt && { ...llmAt, model: env.LLM_FALLBACK_MODEL ?? llm },
    tts: ttsAt && {
      ...ttsAt,
      model: env.TTS_FALLBACK_MODEL ?? tts,
      voice: env.TTS_FALLBACK_VOICE ?? voice,
    },
  };
}

function speechToSpeech(env: Variables): Config["speechToSpeech"] {
  const { REALTIME_BASE_URL: baseURL, REALTIME_API_KEY: apiKey } = env;
  const names = ["REALTIME_MODEL", "REALTIME_BASE_URL", "REALTIME_API_KEY"] as const;
  return {
    baseURL: (baseURL ?? env.OPENAI_BASE_URL ?? OPENAI_URL).replace(/\/+$/, ""),
    apiKey: apiKey ?? (baseURL === undefined ? env.OPENAI_API_KEY : undefined),
    model: env.REALTIME_MODEL ?? "gpt-realtime",
    voice: env.REALTIME_VOICE ?? "marin",
    fixedBy: names.find((name) => env[name] !== undefined),
  };
}

const STAGE_PREFIXES = { stt: "STT", llm: "LLM", tts: "TTS" } as const;
type StagePrefix = (typeof STAGE_PREFIXES)[Stage];

function eachStage<T>(of: (prefix: StagePrefix) => T): Record<Stage, T> {
  const { stt, llm, tts } = STAGE_PREFIXES;
  return { stt: of(stt), llm: of(llm), tts: of(tts) };
}

function decidingVariable(env: Variables, stage: StagePrefix): string | undefined {
  const model = `${stage}_MODEL` as const;
  if (filesNamed(env[model]) !== undefined) return model;
  const names = [
    `${stage}_BASE_URL`,
    `${stage}_API_KEY`,
    "OPENAI_BASE_URL",
    "OPENAI_API_KEY",
  ] as const;
  return names.find((name) => env[name] !== undefined);
}

function decidingFallback(env: Variables, stage: StagePrefix): string | undefined {
  const model = `${stage}_FALLBACK_MODEL` as const;
  if (filesNamed(env[model]) !== undefined) return model;
  const names = [
    `${stage}_FALLBACK_BASE_URL`,
    model,
    `${stage}_FALLBACK_API_KEY`,
    "TTS_FALLBACK_VOICE",
  ] as const;
  return names.find((name) => name.startsWith(stage) && env[name] !== undefined);
}

/** The value if it is a path or a file:// URL; no server names its models like that. */
function filesNamed(model: string | undefined): string | undefined {
  return model !== undefined && /^(file:\/\/|\.{0,2}[/\\]|[A-Za-z]:[/\\])/.test(model)
    ? model
    : undefined;
}

function liveKit(env: Variables): LiveKitConfig | undefined {
  const { LIVEKIT_URL: url, LIVEKIT_API_KEY: apiKey, LIVEKIT_API_SECRET: apiSecret } = env;
  if (url && apiKey && apiSecret) {
    return {
      url: socketUrl(url),
      publicUrl: socketUrl(env.LIVEKIT_PUBLIC_URL ?? url),
      apiKey,
      apiSecret,
    };
  }
  if (url || apiKey || apiSecret) {
    const missing = Object.entries({
      LIVEKIT_URL: url,
      LIVEKIT_API_KEY: apiKey,
      LIVEKIT_API_SECRET: apiSecret,
    })
      .filter(([, value]) => value === undefined)
      .map(([name]) => name);
    throw new Failure(
      "invalid",
      `${missing.join(" and ")} unset: LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET must ` +
        "be set together, or none of them",
    );
  }
  return undefined;
}

function socketUrl(url: string): string {
  return url.replace(/^http/, "ws").replace(/\/+$/, "");
}

function refuseOpenHost(config: Config): void {
  if (isLoopback(config.host) || config.authPassword || config.authDisabled) return;
  throw new Failure(
    "invalid",
    `HOST=${config.host}: others could reach Parley without signing in; set AUTH_PASSWORD, or ` +
      "AUTH_DISABLED=true if something in front of Parley decides who gets in",
  );
}

function masked(name: string, value: string | undefined): string {
  if (value === undefined) return "(unset)";
  if (SECRET.test(name)) return "***";
  const visible = value.replace(URL_PASSWORD, "$1***@");
  return JSON.stringify(visible.length > 80 ? `${visible.slice(0, 80)}…` : visible);
}
