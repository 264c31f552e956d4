import type { Stage } from "../domain/stage.ts";
import { realProcessors } from "../lib/processors.ts";

/** Models that are small enough for a conversation hardly gain from more threads. */
const MAX_THREADS = 8;

/**
 * How many threads a model of a stage computes with. The stages share the processors, since a voice
 * speaks while the language model still writes. By default one is left free: the threads of an
 * inference wait for each other at every step, so one that has to wait for another program's turn
 * makes all of them stand still, which is many times slower than one thread fewer.
 *
 * @param budget of all stages together; undefined: all real processors but one
 */
export function threadsFor(
  stage: Stage,
  budget = Math.min(MAX_THREADS, realProcessors() - 1),
): number {
  const forVoice = budget < 6 ? 1 : 2;
  switch (stage) {
    case "stt":
      // It mostly listens while the others are silent.
      return Math.max(1, Math.min(4, Math.ceil(budget / 2)));
    case "llm":
      return Math.max(1, budget - forVoice);
    case "tts":
      return forVoice;
  }
}
