import { messageOf } from "../src/errors.ts";

/** Prints a message for the person at the terminal. On stderr, since stdout belongs to Parley. */
export function say(message: string): void {
  process.stderr.write(`parley: ${message}\n`);
}

/** Prints what went wrong; for a failed build, every error in the code. */
export function sayError(error: unknown): void {
  say(messageOf(error));
  if (error instanceof AggregateError) for (const each of error.errors) say(String(each));
}
