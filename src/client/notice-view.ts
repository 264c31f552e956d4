import { byId } from "./elements.ts";
import type { Problem, Remedy } from "./problems.ts";

const REMEDIES: Record<Remedy, string> = {
  retry: "Try again",
  other_room: "Use another room",
  sign_in: "Sign in",
  none: "",
};

/** The one notice of the page: what happened, what to do, and a button that does it. */
export class NoticeView {
  readonly #box = byId("notice", HTMLElement);
  readonly #title = byId("notice-title", HTMLElement);
  readonly #detail = byId("notice-detail", HTMLElement);
  readonly #action = byId("notice-action", HTMLButtonElement);
  readonly #signIn = byId("notice-sign-in", HTMLAnchorElement);
  #shown: Problem | null = null;

  constructor(onRemedy: (remedy: Remedy) => void, onDismiss: () => void) {
    this.#action.addEventListener("click", () => {
      if (this.#shown) onRemedy(this.#shown.remedy);
    });
    byId("notice-dismiss", HTMLButtonElement).addEventListener("click", () => {
      onDismiss();
      byId("start", HTMLButtonElement).focus({ preventScroll: true });
    });
  }

  render(problem: Problem | null): void {
    if (problem === this.#shown) return;
    this.#shown = problem;
    this.#box.hidden = problem === null;
    if (problem === null) return;
    this.#box.dataset["tone"] = problem.tone;
    this.#title.textContent = problem.title;
    this.#detail.textContent = problem.detail;
    const button = problem.remedy === "retry" || problem.remedy === "other_room";
    this.#action.hidden = !button;
    this.#action.textContent = REMEDIES[problem.remedy];
    this.#signIn.hidden = problem.remedy !== "sign_in";
  }
}
