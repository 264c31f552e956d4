import { setImmediate } from "node:timers/promises";
import type { Logger } from "pino";
import { messageOf } from "../errors.ts";

export interface WarmUp extends Disposable {
  /** Loads the agent stack; to be called when a conversation is likely to start soon. */
  begin(): void;
}

/**
 * Prepares conversations in two steps: what is started or unpacked at once, so that a fault in it is
 * known early; and, when a conversation is likely, the agent stack, which is most of Parley's memory.
 *
 * @param parts what the first step waits for
 * @param stack loads the agent stack
 */
export function startWarmUp(
  parts: readonly Promise<unknown>[],
  { stack, logger }: { stack: () => Promise<unknown>; logger: Logger },
): WarmUp {
  let stopped = false;
  let begun = false;
  const report = (error: unknown) => {
    if (stopped) return;
    logger.error({ err: error }, `conversations cannot start: ${messageOf(error)}`);
  };
  const prepared = Promise.all(parts).then(
    () => true,
    (error: unknown) => {
      report(error);
      return false;
    },
  );
  const load = async () => {
    // Loading blocks the event loop, and the request that began this waits for its response.
    await setImmediate();
    try {
      await stack();
      if (await prepared) logger.info("ready for conversations");
    } catch (error) {
      begun = false;
      report(error);
    }
  };
  return {
    begin: () => {
      if (begun || stopped) return;
      begun = true;
      void load();
    },
    [Symbol.dispose]: () => {
      stopped = true;
    },
  };
}
