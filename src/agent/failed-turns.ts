import type { AgentSignal } from "./normalize-events.ts";

/** Failed turns in a row that a session survives. */
export const MAX_FAILURES = 3;

/** What is reported but does not end a session: the server works, or will soon. */
const HARMLESS = new Set(["provider_loading", "provider_declined"]);

/**
 * - `pass`: report it
 * - `repeat`: report it as a failure that the person knows from the turn before
 * - `suppress`: it was reported in this turn already
 * - `give_up`: report it, and end the session
 */
export type Verdict = "pass" | "repeat" | "suppress" | "give_up";

type StageFailure = Extract<AgentSignal, { kind: "error" }>;

/**
 * Limits the errors of an agent: each stage's failure is reported once per turn, however many
 * requests of the turn failed; the same failure in the next turn is no news; and too many failed
 * turns in a row end the session.
 */
export class FailedTurns {
  /** The stages whose failure was reported in the current turn. */
  readonly #reported = new Set<string>();
  /** The stages that have worked in the current turn. */
  readonly #worked = new Set<string>();
  /** The code of the newest failure, by stage, until the stage works for a whole turn. */
  readonly #known = new Map<string, string>();
  /** Failed turns in a row, by stage. */
  readonly #failures = new Map<string, number>();
  #turnOver = true;

  /** Whether the person's turn is over, so that the next speech begins a new one. */
  get turnOver(): boolean {
    return this.#turnOver;
  }

  judge(signal: AgentSignal): Verdict {
    switch (signal.kind) {
      case "user_speech":
        if (signal.speaking && this.#turnOver) this.#beginTurn();
        break;
      case "typed":
        this.#beginTurn();
        this.#turnOver = true;
        break;
      case "user_turn":
        this.#turnOver = true;
        this.#stageWorked("stt");
        break;
      case "agent_state":
        if (signal.state !== "speaking") break;
        this.#stageWorked("llm");
        this.#stageWorked("tts");
        break;
      case "error":
        return this.#stageFailed(signal);
    }
    return "pass";
  }

  #beginTurn(): void {
    for (const stage of this.#worked) {
      if (!this.#reported.has(stage)) this.#known.delete(stage);
    }
    this.#turnOver = false;
    this.#reported.clear();
    this.#worked.clear();
  }

  #stageWorked(stage: string): void {
    this.#worked.add(stage);
    this.#failures.delete(stage);
  }

  #stageFailed({ stage, code, recoverable }: StageFailure): Verdict {
    if (stage === "livekit") return "pass";
    // A turn that was not recognised at all gets no `user_turn` signal.
    if (stage === "stt") this.#turnOver = true;
    if (!recoverable) return "give_up";
    if (this.#reported.has(stage)) return "suppress";
    const failures = (this.#failures.get(stage) ?? 0) + (HARMLESS.has(code) ? 0 : 1);
    const isKnown = this.#known.get(stage) === code;
    this.#reported.add(stage);
    this.#known.set(stage, code);
    this.#failures.set(stage, failures);
    if (failures > MAX_FAILURES) return "give_up";
    return isKnown ? "repeat" : "pass";
  }
}
