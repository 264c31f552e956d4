import type { AgentSignal } from "./normalize-events.ts";

/** Failed turns in a row that a session survives. */
export const MAX_FAILURES = 3;

/**
 * Watches what an agent reports, so that a person is told of a failure once a turn, however many
 * requests of the turn failed, and so that a session ends when turn after turn fails.
 */
export class FailedTurns {
  readonly #told = new Set<string>();
  readonly #inARow = new Map<string, number>();
  /** Whether what is said next begins a new turn. */
  #over = true;

  /** @returns what to do with the signal; after `give_up` the session is beyond hope */
  judge(signal: AgentSignal): "pass" | "hush" | "give_up" {
    switch (signal.kind) {
      case "user_speech":
        if (signal.speaking && this.#over) this.#begin();
        break;
      case "typed":
        this.#begin();
        this.#over = true;
        break;
      case "user_turn":
        this.#over = true;
        this.#inARow.delete("stt");
        break;
      case "agent_state":
        if (signal.state === "speaking") this.#worked();
        break;
      case "error":
        return this.#failed(signal);
    }
    return "pass";
  }

  #begin(): void {
    this.#over = false;
    this.#told.clear();
  }

  #worked(): void {
    this.#inARow.delete("llm");
    this.#inARow.delete("tts");
  }

  #failed({ stage, recoverable }: Extract<AgentSignal, { kind: "error" }>) {
    if (stage === "livekit") return "pass";
    // A turn of which not a word was understood is never reported as over.
    if (stage === "stt") this.#over = true;
    const failures = (this.#inARow.get(stage) ?? 0) + 1;
    if (!recoverable) return "give_up";
    if (this.#told.has(stage)) return "hush";
    this.#told.add(stage);
    this.#inARow.set(stage, failures);
    return failures > MAX_FAILURES ? "give_up" : "pass";
  }
}
