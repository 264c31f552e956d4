import { setImmediate } from "node:timers/promises";
import type { Logger } from "pino";
import { messageOf } from "../errors.ts";

export interface WarmUp extends Disposable {
  /** To be called when somebody comes who may start a conversation. */
  expectConversation(): void;
}

/**
 * Prepares conversations in two steps: at once what is started or put on disk, so that a fault in
 * it is known early; and when somebody comes the agent stack, which is most of Parley's memory.
 *
 * @param parts what the first step waits for
 * @param stack loads the agent stack
 */
export function startWarmUp(
  parts: readonly Promise<unknown>[],
  { stack, logger }: { stack: () => Promise<unknown>; logger: Logger },
): WarmUp {
  let stopped = false;
  let expected = false;
  const report = (error: unknown) => {
    if (stopped) return;
    logger.error({ err: error }, `conversations cannot start: ${messageOf(error)}`);
  };
  const isPrepared = Promise.all(parts).then(
    () => true,
    (error: unknown) => {
      report(error);
      return false;
    },
  );
  const load = async () => {
    // Loading leaves little time for anything else, and whoever came is waiting for an answer.
    await setImmediate();
    try {
      await stack();
      if (await isPrepared) logger.info("ready for conversations");
    } catch (error) {
      expected = false;
      report(error);
    }
  };
  return {
    expectConversation: () => {
      if (expected || stopped) return;
      expected = true;
      void load();
    },
    [Symbol.dispose]: () => {
      stopped = true;
    },
  };
}
