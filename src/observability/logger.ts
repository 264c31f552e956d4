import pino, { type LevelWithSilent, type Logger } from "pino";

export interface LogOptions {
  logLevel: LevelWithSilent;
  logFormat: "pretty" | "json";
}

/** Names of fields that could hold a secret in something that is logged. */
const SECRET_FIELDS = [
  "authorization",
  "cookie",
  "password",
  "token",
  "apiKey",
  "apiSecret",
  "*.authorization",
  "*.cookie",
  "*.password",
  "*.token",
  "*.apiKey",
  "*.apiSecret",
  "err.headers",
  "err.request",
  "error.headers",
  "error.request",
];

/** The process's logger: one JSON line an event, or readable lines on a terminal. */
export async function createLogger(config: LogOptions): Promise<Logger> {
  const options = {
    level: config.logLevel,
    base: undefined,
    redact: { paths: SECRET_FIELDS, censor: "***" },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { error: pino.stdSerializers.err },
  };
  if (config.logFormat === "json") return pino(options, pino.destination({ dest: 1, sync: true }));
  const { default: pretty } = await import("pino-pretty");
  return pino(
    options,
    pretty({ colorize: true, translateTime: "SYS:HH:MM:ss", singleLine: true, sync: true }),
  );
}
