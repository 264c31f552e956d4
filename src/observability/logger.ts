import pino, { type Logger } from "pino";
import pretty from "pino-pretty";
import type { Config } from "../config.ts";

/** Names under which a secret could stand in something that is logged. */
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
export function createLogger(config: Pick<Config, "logLevel" | "logFormat">): Logger {
  const options = {
    level: config.logLevel,
    base: undefined,
    redact: { paths: SECRET_FIELDS, censor: "***" },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { error: pino.stdSerializers.err },
  };
  const destination =
    config.logFormat === "pretty"
      ? pretty({ colorize: true, translateTime: "SYS:HH:MM:ss", singleLine: true, sync: true })
      : pino.destination({ dest: 1, sync: true });
  return pino(options, destination);
}
