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

/**
 * The process's logger: one JSON line an event, or readable lines on a terminal.
 *
 * @param output where lines go; a plain standard output waits for its reader
 */
export async function createLogger(
  config: LogOptions,
  output: { write(line: string): void } = pino.destination({ dest: 1, sync: true }),
): Promise<Logger> {
  const options = {
    level: config.logLevel,
    base: undefined,
    redact: { paths: SECRET_FIELDS, censor: "***" },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { error: pino.stdSerializers.err },
  };
  if (config.logFormat === "json") return pino(options, output);
  const { prettyFactory } = await import("pino-pretty");
  const readable = prettyFactory({
    colorize: true,
    translateTime: "SYS:HH:MM:ss",
    singleLine: true,
  });
  return pino(options, { write: (line) => output.write(readable(line)) });
}
