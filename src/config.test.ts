import { describe, expect, test } from "bun:test";
import { join, resolve } from "node:path";
import { environment, readConfig, readEngineSettings } from "./config.ts";
import { Failure } from "./errors.ts";

/** The one line with which a start is refused. */
function refusal(variables: Record<string, string>): string {
  try {
    readConfig(variables);
  } catch (error) {
    expect(error).toBeInstanceOf(Failure);
    if (error instanceof Failure) {
      expect(error.kind).toBe("invalid");
      expect(error.message).not.toContain("\n");
      return error.message;
    }
  }
  throw new Error(`accepted: ${JSON.stringify(variables)}`);
}

const OPENAI = "https://api.openai.com/v1";

describe("without any variable", () => {
  test("everything has its default", () => {
    const { systemPrompt, ...config } = readConfig({});
    expect(systemPrompt.length).toBeGreaterThan(20);
    const provider = { baseURL: OPENAI, apiKey: undefined };
    expect(config).toEqual({
      host: "127.0.0.1",
      port: 3000,
      dev: false,
      dataDir: resolve("data"),
      databasePath: resolve("data/parley.db"),
      livekit: undefined,
      livekitPublicUrl: undefined,
      livekitServerBin: undefined,
      stt: { ...provider, model: undefined, realtime: "auto" },
      llm: { ...provider, model: "gpt-4o-mini" },
      tts: { ...provider, model: "gpt-4o-mini-tts", voice: "alloy" },
      fixedBy: { stt: undefined, llm: undefined, tts: undefined },
      modelPaths: { stt: undefined, llm: undefined, tts: undefined },
      speechToSpeech: {
        baseURL: "https://api.openai.com/v1",
        apiKey: undefined,
        model: "gpt-realtime",
        voice: "marin",
        fixedBy: undefined,
      },
      seconds: { stt: undefined, llm: undefined, tts: undefined },
      fallbackFixedBy: { stt: undefined, llm: undefined, tts: undefined },
      fallbackPaths: { stt: undefined, llm: undefined, tts: undefined },
      modelsCatalog: undefined,
      huggingFace: { endpoint: "https://huggingface.co", token: undefined },
      greeting: undefined,
      language: null,
      keyterms: [],
      corsOrigins: [],
      redisUrl: undefined,
      authPassword: undefined,
      authDisabled: false,
      engine: {
        contextTokens: undefined,
        threads: undefined,
        parallel: undefined,
        keepAliveMs: 300_000,
        gpu: "off",
        denoise: false,
      },
      maxSessions: 20,
      sessionMaxMs: 3_600_000,
      sessionIdleMs: 300_000,
      drainMs: 300_000,
      logLevel: "info",
      logFormat: "json",
      otlpEndpoint: undefined,
    });
  });

  test("development allows pages of this machine, a terminal gets readable logs", () => {
    const config = readConfig({}, { dev: true, terminal: true });
    expect(config.corsOrigins).toEqual(["http://localhost:*", "http://127.0.0.1:*"]);
    expect(config.logFormat).toBe("pretty");
    expect(config.dev).toBe(true);
  });

  test("the caller decides where data lies", () => {
    const config = readConfig({}, { defaultDataDir: "/var/lib/parley" });
    expect(config.databasePath).toBe("/var/lib/parley/parley.db");
  });
});

test("a variable that is empty or blank counts as unset, whichever it is", () => {
  const unset = readConfig({});
  for (const name of Object.keys(environment.shape)) {
    expect(readConfig({ [name]: "" })).toEqual(unset);
    expect(readConfig({ [name]: "  \t" })).toEqual(unset);
    expect(readConfig({ [name]: undefined })).toEqual(unset);
  }
});

test("an engine reads its own variables and no others", () => {
  const given = { ENGINE_THREADS: "3", ENGINE_KEEP_ALIVE_MINUTES: "0.5", PORT: "none" };
  expect(readEngineSettings(given)).toMatchObject({ threads: 3, keepAliveMs: 30_000, gpu: "off" });
  expect(() => readEngineSettings({ ENGINE_GPU: "yes" })).toThrow(/^ENGINE_GPU="yes": must be/);
});

test("variables of other programs are ignored", () => {
  expect(readConfig({ PATH: "/bin", PORTS: "x", HOSTNAME: "pc" })).toEqual(readConfig({}));
});

const ACCEPTED: [name: string, value: string, field: string, result: unknown][] = [
  ["HOST", "localhost", "host", "localhost"],
  ["HOST", "::1", "host", "::1"],
  ["HOST", "127.8.8.8", "host", "127.8.8.8"],
  ["PORT", "0", "port", 0],
  ["PORT", "65535", "port", 65535],
  ["PORT", " 8080 ", "port", 8080],
  ["DATA_DIR", "/srv/parley", "dataDir", "/srv/parley"],
  ["DATA_DIR", "/srv/parley", "databasePath", "/srv/parley/parley.db"],
  ["DATABASE_URL", "file:/tmp/x.db", "databasePath", "/tmp/x.db"],
  ["DATABASE_URL", "file:x.db", "databasePath", resolve("x.db")],
  ["LIVEKIT_PUBLIC_URL", "https://rtc.example.org/", "livekitPublicUrl", "wss://rtc.example.org"],
  ["LIVEKIT_SERVER_BIN", "/opt/livekit", "livekitServerBin", "/opt/livekit"],
  ["SYSTEM_PROMPT", "Be brief.\nVery.", "systemPrompt", "Be brief.\nVery."],
  ["SYSTEM_PROMPT", "x".repeat(8000), "systemPrompt", "x".repeat(8000)],
  ["GREETING", "Hello", "greeting", "Hello"],
  ["STT_LANGUAGE", "de-at", "language", "de-AT"],
  ["STT_LANGUAGE", "AUTO", "language", null],
  ["STT_KEYTERMS", "Parley, Gemini ,, LiveKit,Parley", "keyterms", ["Parley", "Gemini", "LiveKit"]],
  ["STT_KEYTERMS", "قهوة، شاي", "keyterms", ["قهوة", "شاي"]],
  ["CORS_ORIGINS", "https://a.org", "corsOrigins", ["https://a.org"]],
  [
    "CORS_ORIGINS",
    " https://A.org/ ,, http://localhost:* ,https://b.org:443,http://c.org:8080",
    "corsOrigins",
    ["https://a.org", "http://localhost:*", "https://b.org", "http://c.org:8080"],
  ],
  [
    "REDIS_URL",
    "rediss://u:p@r.example.org:6380/1",
    "redisUrl",
    "rediss://u:p@r.example.org:6380/1",
  ],
  ["AUTH_PASSWORD", "12345678", "authPassword", "12345678"],
  ["AUTH_DISABLED", "true", "authDisabled", true],
  ["AUTH_DISABLED", "false", "authDisabled", false],
  ["MAX_SESSIONS", "1", "maxSessions", 1],
  ["SESSION_MAX_MINUTES", "0.5", "sessionMaxMs", 30_000],
  ["SESSION_IDLE_MINUTES", "1440", "sessionIdleMs", 86_400_000],
  ["DRAIN_MINUTES", "0", "drainMs", 0],
  ["LOG_LEVEL", "silent", "logLevel", "silent"],
  ["LOG_FORMAT", "pretty", "logFormat", "pretty"],
  ["OTEL_EXPORTER_OTLP_ENDPOINT", "http://otel:4318", "otlpEndpoint", "http://otel:4318"],
];
test.each(ACCEPTED)("%s=%j is accepted as %s", (name, value, field, result) => {
  expect(Object.entries(readConfig({ [name]: value }))).toContainEqual([field, result]);
});

const REFUSED: [name: string, value: string, allowed: RegExp][] = [
  ["HOST", "a host", /host name or address/],
  ["HOST", "http://127.0.0.1", /host name or address/],
  ["PORT", "-1", /whole number from 0 to 65535/],
  ["PORT", "65536", /whole number from 0 to 65535/],
  ["PORT", "3e3", /whole number from 0 to 65535/],
  ["PORT", "1.5", /whole number from 0 to 65535/],
  ["PORT", "three", /whole number from 0 to 65535/],
  ["DATABASE_URL", "parley.db", /file: and a path/],
  ["DATABASE_URL", "file:", /file: and a path/],
  ["LIVEKIT_URL", "example.org", /ws:\/\/, wss:\/\/, http:\/\/ or https:\/\/ URL/],
  ["LIVEKIT_URL", "ftp://example.org", /ws:\/\/, wss:\/\/, http:\/\/ or https:\/\/ URL/],
  ["LIVEKIT_PUBLIC_URL", "localhost:7880", /ws:\/\/, wss:\/\/, http:\/\/ or https:\/\/ URL/],
  ["OPENAI_BASE_URL", "my server", /http:\/\/ or https:\/\/ URL/],
  ["STT_BASE_URL", "ftp://localhost", /http:\/\/ or https:\/\/ URL/],
  ["LLM_BASE_URL", "file:///etc/passwd", /http:\/\/ or https:\/\/ URL/],
  ["TTS_BASE_URL", "http:", /http:\/\/ or https:\/\/ URL/],
  ["REALTIME_BASE_URL", "ftp://a", /http:\/\/ or https:\/\/ URL/],
  ["STT_REALTIME", "yes", /"auto", "true" or "false"/],
  ["LLM_THINKING", "maybe", /"auto", "on" or "off"/],
  ["LLM_PREPARE_ANSWERS", "yes", /"true" or "false"/],
  ["SYSTEM_PROMPT", "x".repeat(8001), /at most 8000/],
  ["GREETING", "x".repeat(1001), /at most 1000/],
  ["CORS_ORIGINS", "*", /origins such as/],
  ["CORS_ORIGINS", "example.org", /origins such as/],
  ["CORS_ORIGINS", "https://a.org,https://b.org/path", /origins such as/],
  ["CORS_ORIGINS", "https://*.example.org", /origins such as/],
  ["CORS_ORIGINS", "ftp://a.org", /origins such as/],
  ["CORS_ORIGINS", "null", /origins such as/],
  ["STT_LANGUAGE", "German", /"auto" or a tag such as en, de or pt-BR/],
  ["STT_LANGUAGE", "de_DE.UTF-8", /"auto" or a tag such as en, de or pt-BR/],
  ["STT_KEYTERMS", "x".repeat(65), /longer than 64 characters/],
  [
    "STT_KEYTERMS",
    Array.from({ length: 101 }, (_, i) => i).join(),
    /more than 100 words to expect/,
  ],
  ["STT_FALLBACK_BASE_URL", "ftp://localhost", /http:\/\/ or https:\/\/ URL/],
  ["LLM_FALLBACK_BASE_URL", "ftp://a.org", /http:\/\/ or https:\/\/ URL/],
  ["HF_ENDPOINT", "hf-mirror.example", /http:\/\/ or https:\/\/ URL/],
  ["TTS_FALLBACK_BASE_URL", "file:///a", /http:\/\/ or https:\/\/ URL/],
  ["REDIS_URL", "localhost:6379", /redis:\/\/ or rediss:\/\/ URL/],
  ["AUTH_DISABLED", "1", /"true" or "false"/],
  ["MAX_SESSIONS", "0", /whole number from 1 to 10000/],
  ["MAX_SESSIONS", "9999999999", /whole number from 1 to 10000/],
  ["SESSION_MAX_MINUTES", "0", /number of minutes/],
  ["SESSION_MAX_MINUTES", "-5", /number of minutes/],
  ["SESSION_MAX_MINUTES", "1441", /number of minutes/],
  ["SESSION_IDLE_MINUTES", "5m", /number of minutes/],
  ["DRAIN_MINUTES", "1441", /number of minutes/],
  ["ENGINE_CONTEXT", "100", /whole number from 512 to 131072/],
  ["ENGINE_THREADS", "0", /whole number from 1 to 256/],
  ["ENGINE_PARALLEL", "65", /whole number from 1 to 64/],
  ["ENGINE_KEEP_ALIVE_MINUTES", "-1", /number of minutes/],
  ["ENGINE_GPU", "yes", /one of off, auto, vulkan, cuda, metal/],
  ["ENGINE_DENOISE", "1", /"true" or "false"/],
  ["LOG_LEVEL", "INFO", /one of fatal, error, warn, info, debug, trace, silent/],
  ["LOG_FORMAT", "xml", /"pretty" or "json"/],
  ["OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", /http:\/\/ or https:\/\/ URL/],
];
test.each(REFUSED)(
  "%s=%j is refused in a line that says what is allowed",
  (name, value, allowed) => {
    const line = refusal({ [name]: value });
    expect(line).toStartWith(`${name}="${value.slice(0, 60)}`);
    expect(line).toMatch(allowed);
    expect(line.length).toBeLessThan(300);
  },
);

test("every variable with a rule has a case in which it is refused", () => {
  const secret = [
    "OPENAI_API_KEY",
    "STT_API_KEY",
    "LLM_API_KEY",
    "TTS_API_KEY",
    "REALTIME_API_KEY",
    "AUTH_PASSWORD",
    "STT_FALLBACK_API_KEY",
    "LLM_FALLBACK_API_KEY",
    "TTS_FALLBACK_API_KEY",
    "HF_TOKEN",
  ];
  const files = ["DATA_DIR", "PARLEY_CACHE_DIR", "LIVEKIT_SERVER_BIN", "MODELS_CATALOG"];
  const free = [...files, "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"];
  const stages = ["STT", "LLM", "TTS", "STT_FALLBACK", "LLM_FALLBACK", "TTS_FALLBACK"];
  const voices = ["REALTIME_MODEL", "REALTIME_VOICE", "TTS_VOICE", "TTS_FALLBACK_VOICE"];
  const names = [...voices, ...stages.map((stage) => `${stage}_MODEL`)];
  const tried = new Set([...REFUSED.map(([name]) => name), ...secret, ...free, ...names]);
  expect([...tried].sort()).toEqual(Object.keys(environment.shape).sort());
});

describe("the second provider of a stage", () => {
  const own = { OPENAI_API_KEY: "sk-1" };

  test("has its own address, key, model and voice", () => {
    const { seconds, fallbackFixedBy } = readConfig({
      ...own,
      TTS_FALLBACK_BASE_URL: "http://a/v1/",
      TTS_FALLBACK_MODEL: "kokoro",
      TTS_FALLBACK_VOICE: "af_heart",
    });
    expect(seconds.tts).toEqual({
      ...{ baseURL: "http://a/v1", apiKey: undefined, model: "kokoro", voice: "af_heart" },
    });
    expect(fallbackFixedBy).toEqual({
      ...{ stt: undefined, llm: undefined, tts: "TTS_FALLBACK_BASE_URL" },
    });
  });

  test("gets OpenAI's key at OpenAI's address alone", () => {
    const at = (url: string) => readConfig({ ...own, LLM_FALLBACK_BASE_URL: url }).seconds.llm;
    expect(at(OPENAI)).toEqual({ baseURL: OPENAI, apiKey: "sk-1", model: "gpt-4o-mini" });
    expect(at("http://a/v1")?.apiKey).toBeUndefined();
    const other = { ...own, OPENAI_BASE_URL: "http://a/v1", LLM_FALLBACK_BASE_URL: OPENAI };
    expect(readConfig(other).seconds.llm?.apiKey).toBeUndefined();
  });

  test("may be another model of the same server, or a file", () => {
    const { seconds } = readConfig({ ...own, STT_FALLBACK_MODEL: "whisper-1" });
    expect(seconds.stt).toEqual({
      ...{ baseURL: OPENAI, apiKey: "sk-1", model: "whisper-1", realtime: false },
    });
    const local = readConfig({ ...own, LLM_FALLBACK_MODEL: "./small.gguf" });
    expect(local.seconds.llm).toBeUndefined();
    expect(local.fallbackPaths.llm).toBe("./small.gguf");
    expect(local.fallbackFixedBy.llm).toBe("LLM_FALLBACK_MODEL");
  });
});

describe("who decides a stage", () => {
  test.each([
    [{}, [undefined, undefined, undefined]],
    [{ OPENAI_API_KEY: "sk-1" }, ["OPENAI_API_KEY", "OPENAI_API_KEY", "OPENAI_API_KEY"]],
    [{ LLM_BASE_URL: "http://a" }, [undefined, "LLM_BASE_URL", undefined]],
    [
      { TTS_API_KEY: "sk-2", OPENAI_BASE_URL: "http://a" },
      ["OPENAI_BASE_URL", "OPENAI_BASE_URL", "TTS_API_KEY"],
    ],
    [{ STT_MODEL: "whisper-1", LLM_MODEL: "Qwen/Qwen2.5" }, [undefined, undefined, undefined]],
    [{ STT_MODEL: "/m/stt", LLM_MODEL: "./a.gguf" }, ["STT_MODEL", "LLM_MODEL", undefined]],
    [
      { TTS_MODEL: "file:///m/voice", TTS_BASE_URL: "http://a" },
      [undefined, undefined, "TTS_MODEL"],
    ],
  ])("%o", (variables, expected) => {
    const { fixedBy } = readConfig(variables);
    expect([fixedBy.stt, fixedBy.llm, fixedBy.tts]).toEqual(expected);
  });

  test("a model that is a path of this machine is known as one", () => {
    const { modelPaths } = readConfig({
      STT_MODEL: "file:///m/stt",
      LLM_MODEL: "llama3.2",
      TTS_MODEL: "C:\\voices\\a",
    });
    expect(modelPaths).toEqual({ stt: "file:///m/stt", llm: undefined, tts: "C:\\voices\\a" });
  });
});

describe("secrets in what the start prints", () => {
  test.each(["OPENAI_API_KEY", "STT_API_KEY", "LLM_API_KEY", "TTS_API_KEY", "REALTIME_API_KEY"])(
    "%s that no HTTP header can hold is refused without being shown",
    (name) => {
      for (const value of ["sk-sec ret", "sk-“secret”", "sk-secret\nX-Evil: 1"]) {
        const line = refusal({ [name]: value });
        expect(line).toStartWith(`${name}=***: `);
        expect(line).toContain("printable ASCII");
        expect(line).not.toContain("sec");
      }
    },
  );

  test("a short AUTH_PASSWORD is refused without being shown", () => {
    expect(refusal({ AUTH_PASSWORD: "hunter2" })).toBe(
      "AUTH_PASSWORD=***: must have at least 8 characters",
    );
  });

  test.each([
    ["REDIS_URL", "http://user:hunter2@redis.example.org"],
    ["REDIS_URL", "http://:hun@ter/2:x@redis.example.org"],
    ["DATABASE_URL", "postgres://user:hunter2@db.example.org/parley"],
    ["LIVEKIT_URL", "ftp://user:hunter2@livekit.example.org"],
    ["OPENAI_BASE_URL", "ftp://user:hunter2@api.example.org"],
    ["CORS_ORIGINS", "https://user:hunter2@example.org"],
  ])("the password in %s=%s is masked", (name, value) => {
    const line = refusal({ [name]: value });
    expect(line).toContain(":***@");
    expect(line).toContain("example.org");
    expect(line).not.toMatch(/hun|ter/);
  });
});

describe("LiveKit", () => {
  const whole = {
    LIVEKIT_URL: "https://x.livekit.cloud/",
    LIVEKIT_API_KEY: "key",
    LIVEKIT_API_SECRET: "secret",
  };

  test("all three make an existing server, reached over WebSocket", () => {
    const url = "wss://x.livekit.cloud";
    expect(readConfig(whole).livekit).toEqual({
      url,
      publicUrl: url,
      apiKey: "key",
      apiSecret: "secret",
    });
  });

  test("browsers may reach it under another address", () => {
    const config = readConfig({ ...whole, LIVEKIT_PUBLIC_URL: "ws://10.0.0.5:7880" });
    expect(config.livekit?.url).toBe("wss://x.livekit.cloud");
    expect(config.livekit?.publicUrl).toBe("ws://10.0.0.5:7880");
  });

  test("one or two of the three are refused, and what is missing is named", () => {
    for (const name of Object.keys(whole)) {
      const others = { ...whole, [name]: "" };
      const line = refusal(others);
      expect(line).toStartWith(`${name} unset: `);
      expect(line).not.toContain("secret,");
      const alone = { [name]: whole[name as keyof typeof whole] };
      for (const missing of Object.keys(whole).filter((other) => other !== name)) {
        expect(refusal(alone).split(" unset: ")[0]).toContain(missing);
      }
    }
  });
});

describe("providers", () => {
  test("OpenAI's key and address serve all three stages", () => {
    const { stt, llm, tts } = readConfig({
      OPENAI_API_KEY: "sk-1",
      OPENAI_BASE_URL: "http://127.0.0.1:8000/v1/",
    });
    for (const stage of [stt, llm, tts]) {
      expect(stage).toMatchObject({ apiKey: "sk-1", baseURL: "http://127.0.0.1:8000/v1" });
    }
  });

  test("a stage with a server of its own never gets the key of OpenAI or of another stage", () => {
    for (const stage of ["STT", "LLM", "TTS"]) {
      for (const openai of [{}, { OPENAI_BASE_URL: "http://other:1/v1" }]) {
        const config = readConfig({
          ...openai,
          OPENAI_API_KEY: "sk-openai",
          STT_API_KEY: "sk-stt",
          LLM_API_KEY: "sk-llm",
          TTS_API_KEY: "sk-tts",
          [`${stage}_API_KEY`]: "",
          [`${stage}_BASE_URL`]: "http://localhost:11434/v1//",
        });
        const own = { STT: config.stt, LLM: config.llm, TTS: config.tts }[stage];
        expect(own).toMatchObject({ baseURL: "http://localhost:11434/v1", apiKey: undefined });
      }
    }
  });

  test("each stage has its own server, key, model and voice", () => {
    const config = readConfig({
      OPENAI_API_KEY: "sk-openai",
      STT_BASE_URL: "http://stt:1",
      STT_API_KEY: "sk-stt",
      STT_MODEL: "whisper",
      LLM_BASE_URL: "http://llm:2",
      LLM_API_KEY: "sk-llm",
      LLM_MODEL: "llama",
      TTS_BASE_URL: "http://tts:3",
      TTS_API_KEY: "sk-tts",
      TTS_MODEL: "kokoro",
      TTS_VOICE: "af_sky",
    });
    expect(config.stt).toEqual({
      baseURL: "http://stt:1",
      apiKey: "sk-stt",
      model: "whisper",
      realtime: "auto",
    });
    expect(config.llm).toEqual({ baseURL: "http://llm:2", apiKey: "sk-llm", model: "llama" });
    expect(config.tts).toEqual({
      baseURL: "http://tts:3",
      apiKey: "sk-tts",
      model: "kokoro",
      voice: "af_sky",
    });
  });

  test("STT_REALTIME is on, off or found out", () => {
    const realtime = (value: string) => readConfig({ STT_REALTIME: value }).stt.realtime;
    expect(["true", "false", "auto", ""].map(realtime)).toEqual([true, false, "auto", "auto"]);
  });
});

describe("a host that others can reach", () => {
  const open = ["0.0.0.0", "::", "192.168.1.4", "parley.example.org", "128.0.0.1", "localhost.org"];

  test.each(open)("HOST=%s is refused without a password, with the way out", (host) => {
    const line = refusal({ HOST: host });
    expect(line).toStartWith(`HOST=${host}: `);
    expect(line).toContain("AUTH_PASSWORD");
    expect(line).toContain("AUTH_DISABLED=true");
    expect(() => refusal({ HOST: host, AUTH_DISABLED: "false" })).not.toThrow();
  });

  test.each(open)("HOST=%s is accepted with a password or with AUTH_DISABLED=true", (host) => {
    expect(readConfig({ HOST: host, AUTH_PASSWORD: "12345678" }).host).toBe(host);
    expect(readConfig({ HOST: host, AUTH_DISABLED: "true" }).host).toBe(host);
  });
});

test("paths are absolute, so that a later change of folder does not move them", () => {
  const { dataDir, databasePath } = readConfig({ DATA_DIR: "here" });
  expect(dataDir).toBe(join(process.cwd(), "here"));
  expect(databasePath).toBe(join(process.cwd(), "here/parley.db"));
});

describe("speech to speech", () => {
  test("is chosen by its model, its server or its key, and has a key of its own", () => {
    expect(readConfig({ OPENAI_API_KEY: "sk-1", REALTIME_VOICE: "cedar" }).speechToSpeech).toEqual({
      baseURL: "https://api.openai.com/v1",
      apiKey: "sk-1",
      model: "gpt-realtime",
      voice: "cedar",
      fixedBy: undefined,
    });
    const own = { OPENAI_API_KEY: "sk-1", REALTIME_BASE_URL: "http://r:4/v1/" };
    expect(readConfig(own).speechToSpeech).toMatchObject({
      baseURL: "http://r:4/v1",
      apiKey: undefined,
      fixedBy: "REALTIME_BASE_URL",
    });
    expect(readConfig({ REALTIME_MODEL: "talker" }).speechToSpeech).toMatchObject({
      model: "talker",
      fixedBy: "REALTIME_MODEL",
    });
  });
});
