import type { AgentSignal } from "./normalize-events.ts";

/** Failed turns in a row that a session survives. */
export const MAX_FAILURES = 3;

/**
 * Limits the errors of an agent: each stage's failure is reported once per turn, however many
 * requests of the turn failed, and too many failed turns in a row end the session.
 */
export class FailedTurns {
  /** The stages whose failure was reported in the current turn. */
  readonly #reported = new Set<string>();
  /** Failed turns in a row, by stage. */
  readonly #failures = new Map<string, number>();
  /** Whether the next speech begins a new turn. */
  #turnOver = true;

  /** @returns what to do with the signal; `give_up` means that the session must end */
  judge(signal: AgentSignal): "pass" | "suppress" | "give_up" {
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
        this.#failures.delete("stt");
        break;
      case "agent_state":
        if (signal.state === "speaking") this.#answerSpoken();
        break;
      case "error":
        return this.#stageFailed(signal);
    }
    return "pass";
  }

  #beginTurn(): void {
    this.#turnOver = false;
    this.#reported.clear();
  }

  #answerSpoken(): void {
    this.#failures.delete("llm");
    this.#failures.delete("tts");
  }

  #stageFailed({ stage, recoverable }: Extract<AgentSignal, { kind: "error" }>) {
    if (stage === "livekit") return "pass";
    // A turn that was not recognised at all gets no `user_turn` signal.
    if (stage === "stt") this.#turnOver = true;
    const failures = (this.#failures.get(stage) ?? 0) + 1;
    if (!recoverable) return "give_up";
    if (this.#reported.has(stage)) return "suppress";
    this.#reported.add(stage);
    this.#failures.set(stage, failures);
    return failures > MAX_FAILURES ? "give_up" : "pass";
  }
}
