import { test } from "bun:test";
import { AsyncLocalStorage } from "node:async_hooks";
import { appendFileSync } from "node:fs";
import { messageOf } from "../../src/errors.ts";
import type { Phrase } from "../stand-in/template.ts";
import { wordErrors } from "../word-errors.ts";
import type { Account, RoomRecorder } from "./room-recorder.ts";

/** A scenario is repeated once before what the machine loses counts as a failure. */
const ATTEMPTS = 2;
/** A machine that keeps up conceals some 30 ms, at the beginning of a track. */
const MOST_CONCEALED_MS = 200;

const recorders = new AsyncLocalStorage<Set<RoomRecorder>>();

/** Lets a person say a phrase whose sound a recorder gets. @param speak answers when they ended */
export async function saying<T extends { to: number }>(
  recorder: RoomRecorder,
  phrase: Phrase,
  speak: () => Promise<T>,
): Promise<T> {
  recorders.getStore()?.add(recorder);
  recorder.noteSaid(phrase);
  const spoken = await speak();
  recorder.noteSilent(spoken.to);
  return spoken;
}

/**
 * Runs a scenario in which people speak. When it fails, it looks at what the rooms received. If
 * that is not what was said, the machine was late and has lost or torn words on the way, so the
 * scenario runs again from its beginning. If it is, the failure is Parley's.
 *
 * Each repetition is appended to the file that `PARLEY_REPETITIONS` names, a line each.
 *
 * @param scenario opens what it uses itself, and can be run more than once
 * @throws Error what the scenario threw, with what the rooms received
 */
export async function spoken<T>(scenario: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    const heard = new Set<RoomRecorder>();
    try {
      return await recorders.run(heard, scenario);
    } catch (error) {
      const accounts = await Promise.all([...heard].map((recorder) => recorder.account()));
      const damaged = accounts.filter(isDamaged);
      if (damaged.length === 0 || attempt === ATTEMPTS) {
        const found = JSON.stringify(accounts);
        throw new Error(`${messageOf(error)}\nThe rooms received: ${found}`, { cause: error });
      }
      const found = JSON.stringify(damaged);
      console.log(`The machine lost words, so this is repeated: ${found}`, error);
      const file = Bun.env["PARLEY_REPETITIONS"];
      if (file) appendFileSync(file, `${found}\n`);
    }
  }
}

/** A test whose body `spoken` runs. */
export function spokenTest(name: string, scenario: () => Promise<void>): void {
  test(name, () => spoken(scenario));
}

function isDamaged({ said, received, concealedMs }: Account): boolean {
  return wordErrors(said.join(" "), received) > 0 || concealedMs > MOST_CONCEALED_MS;
}
