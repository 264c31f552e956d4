import { messageOf } from "../../src/errors.ts";
import { speak } from "../audio/speech.ts";
import { type Caller, joinRoom } from "../caller.ts";
import { ended, event, liveSessions } from "../e2e/environment.ts";
import { within } from "../e2e/wait.ts";
import {
  type Holdings,
  type InspectedParley,
  startInspectedParley,
} from "../lifecycle/inspected-parley.ts";
import type { Listener } from "../parley.ts";

const PHRASE = "Hello there.";
const REPLY = "Yes.";
/** A person who gets no answer says it again: a busy machine loses words. */
const ANSWER_MS = 20_000;
const TRIES = 3;

/** When the person leaves the room: before the session ends, as the page does, or after. */
export type Leaving = "first" | "last";

/** A Parley that holds one conversation of one spoken turn after the other. */
export class Soak implements AsyncDisposable {
  /** How many conversations have begun. */
  begun = 0;
  /** What went wrong in conversations that did not end, or in which the agent was silent. */
  readonly failures: string[] = [];
  readonly #environment: InspectedParley;
  readonly #leaving: Leaving;

  private constructor(environment: InspectedParley, leaving: Leaving) {
    this.#environment = environment;
    this.#leaving = leaving;
  }

  static async start(leaving: Leaving): Promise<Soak> {
    const standIn = { phrases: [PHRASE], reply: () => REPLY, prewarm: [REPLY], realtime: false };
    return new Soak(await startInspectedParley(standIn), leaving);
  }

  /** Holds conversations, and waits until all have ended. @param atOnce how many at a time */
  async hold(conversations: number, atOnce: number): Promise<void> {
    const until = this.begun + conversations;
    const line = async () => {
      while (this.begun < until) {
        const room = `soak-${this.begun++}`;
        await this.#converse(room).catch((error) => {
          this.failures.push(`${room}: ${messageOf(error)}`);
        });
      }
    };
    await Promise.all(Array.from({ length: atOnce }, line));
    const live = await liveSessions(this.#environment.parley);
    this.failures.push(...live.map((id) => `session ${id} did not end`));
  }

  /** What the process holds. */
  look(): Promise<Holdings> {
    return this.#environment.look();
  }

  async #converse(room: string): Promise<void> {
    const { parley } = this.#environment;
    await using leaving = new AsyncDisposableStack();
    const caller = leaving.use(await joinRoom(parley, room, "ada"));
    const id = await parley.startSession({ room, identity: "ada" });
    await using listener = await parley.listen(id);
    await caller.listenedTo();
    await answered(caller, listener);
    if (this.#leaving === "first") await leaving.disposeAsync();
    await parley.fetch(`/session/${id}`, { method: "DELETE" });
    await ended(listener, "stopped");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#environment[Symbol.asyncDispose]();
  }
}

/** Says the phrase until the agent's answer is heard and written. @throws Error if it stays silent */
async function answered(caller: Caller, listener: Listener): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const { to } = await caller.speak(speak(PHRASE, { rate: 48_000 }));
    try {
      await within("the agent is heard", caller.hears(to), undefined, ANSWER_MS);
      break;
    } catch (error) {
      if (attempt === TRIES) throw error;
    }
  }
  await event(listener, "the agent's answer", ({ type, data }) => {
    return type === "transcript" && data.role === "agent" && data.final;
  });
}
