import { languageName, sameLanguage } from "../domain/language.ts";
import type { Role, TranscriptData } from "../domain/transcript.ts";
import { directionOf, formatElapsed } from "../lib/words.ts";

const SPEAKERS: Record<Role, string> = { user: "You", agent: "Agent" };

interface Line {
  item: HTMLLIElement;
  text: HTMLElement;
  startedAt: number;
  final: boolean;
}

/**
 * The live transcript: one line per segment, ordered by when the segments began. An interim is
 * replaced in place, by its segment's id, until its final arrives; after that it stays as it is.
 */
export class TranscriptView {
  readonly #list: HTMLElement;
  readonly #announcer: HTMLElement;
  readonly #onChange: () => void;
  readonly #lines = new Map<string, Line>();
  /** When the conversation began, ms since the epoch; line times count from here. */
  #origin: number | undefined;
  /** The person's own identity. Other participants are shown by theirs. */
  #identity = "";
  /** The language that is chosen, as a BCP 47 tag. */
  #chosen: string | undefined;
  /** The language that was heard last, at first the one that is chosen. */
  #heard: string | undefined;

  /** @param announcer a live region, which screen readers read aloud */
  constructor(list: HTMLElement, announcer: HTMLElement, onChange: () => void) {
    this.#list = list;
    this.#announcer = announcer;
    this.#onChange = onChange;
  }

  /** Empties the transcript for a new conversation of `identity`, in a language if one is chosen. */
  begin(identity: string, language: string | undefined): void {
    this.#lines.clear();
    this.#list.replaceChildren();
    this.#announcer.textContent = "";
    this.#origin = undefined;
    this.#identity = identity;
    this.#chosen = language;
    this.#heard = language;
    this.#onChange();
  }

  /** When the conversation began. If it is not set, the first line counts as the beginning. */
  setOrigin(startedAt: number): void {
    this.#origin = startedAt;
  }

  /** Shows a segment. With `announce`, screen readers read it aloud once it is final. */
  apply(data: TranscriptData, announce: boolean): void {
    const known = this.#lines.get(data.segment_id);
    if (known?.final) return;
    const empty = data.text.trim() === "";
    if (empty && (data.final || known === undefined)) {
      known?.item.remove();
      this.#lines.delete(data.segment_id);
      this.#onChange();
      return;
    }
    const line = known ?? this.#insert(data);
    if (!empty) {
      line.text.textContent = data.text;
      line.text.dir = directionOf(data.text);
    }
    line.final = data.final;
    line.item.dataset["final"] = String(data.final);
    if (data.language !== undefined) this.#showLanguage(line, data.language);
    if (data.interrupted === true) this.#markInterrupted(line);
    if (data.final && announce) this.#announce(data);
    this.#onChange();
  }

  /** Removes the interims that are left when a conversation ends: they never become final. */
  end(): void {
    for (const [id, line] of this.#lines) {
      if (line.final) continue;
      line.item.remove();
      this.#lines.delete(id);
    }
    this.#onChange();
  }

  get size(): number {
    return this.#lines.size;
  }

  #insert(data: TranscriptData): Line {
    this.#origin ??= data.started_at;
    const item = make("li", "line");
    item.dataset["segmentId"] = data.segment_id;
    item.dataset["role"] = data.role;
    const speaker = make("span", "line-who");
    speaker.append(make("bdi", "", this.#speakerOf(data)));
    const text = make("p", "line-text");
    if (this.#chosen !== undefined) text.lang = this.#chosen;
    const time = make("time", "line-time", formatElapsed(data.started_at - this.#origin));
    item.append(speaker, text, time);
    const line = { item, text, startedAt: data.started_at, final: false };
    this.#place(line);
    this.#lines.set(data.segment_id, line);
    return line;
  }

  /**
   * Puts a line after the last one that began no later. Appending is not enough: speech overlaps,
   * and replays come in bulk.
   */
  #place(line: Line): void {
    const earlier = [...this.#lines.values()].filter((other) => other.startedAt <= line.startedAt);
    const previous = earlier.reduce<Line | undefined>(
      (latest, other) => (latest && latest.startedAt > other.startedAt ? latest : other),
      undefined,
    );
    if (previous) previous.item.after(line.item);
    else this.#list.prepend(line.item);
  }

  #speakerOf(data: TranscriptData): string {
    const known = data.role === "agent" || data.identity === this.#identity || data.identity === "";
    return known ? SPEAKERS[data.role] : data.identity;
  }

  /** Notes the language that was heard in a line, and names it where it changes. */
  #showLanguage(line: Line, language: string): void {
    line.text.lang = language;
    if (this.#heard !== undefined && sameLanguage(language, this.#heard)) return;
    this.#heard = language;
    line.item.append(make("span", "line-mark", languageName(language)));
  }

  #markInterrupted(line: Line): void {
    if (line.item.dataset["interrupted"] === "true") return;
    line.item.dataset["interrupted"] = "true";
    line.item.append(make("span", "line-mark", "interrupted"));
  }

  #announce(data: TranscriptData): void {
    const words = make("bdi", "", data.text);
    const language = data.language ?? this.#chosen;
    if (language !== undefined) words.lang = language;
    const line = make("p", "");
    line.append(`${this.#speakerOf(data)}: `, words);
    // Only the latest one: a line that the screen reader missed is still in the transcript.
    this.#announcer.replaceChildren(line);
  }
}

/** Creates an element. Its text is set as text, never as HTML. */
function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className: string,
  text = "",
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

/** A list scrolled to within this distance of its end counts as being at its end. */
const NEAR_END_PX = 48;

/**
 * Keeps a growing list scrolled to its end until the reader scrolls up; then a button leads back.
 */
export class FollowScroll {
  readonly #box: HTMLElement;
  readonly #button: HTMLElement;
  readonly #hasLines: () => boolean;
  #following = true;

  /** @param hasLines while it has none, the box shows something else, which is read from its top */
  constructor(box: HTMLElement, button: HTMLElement, hasLines: () => boolean) {
    this.#box = box;
    this.#button = button;
    this.#hasLines = hasLines;
    box.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    button.addEventListener("click", () => this.toEnd());
    // A box that shrinks (for an on-screen keyboard or a notice) must not hide the last line.
    new ResizeObserver(() => this.update()).observe(box);
  }

  /** Must be called whenever the list has changed. */
  update(): void {
    if (!this.#hasLines()) {
      this.#following = true;
      this.#button.hidden = true;
      return;
    }
    if (this.#following) this.#box.scrollTop = this.#box.scrollHeight;
    this.#button.hidden = this.#following;
  }

  toEnd(): void {
    this.#following = true;
    this.update();
    this.#box.focus({ preventScroll: true });
  }

  #scrolled(): void {
    if (!this.#hasLines()) return;
    const below = this.#box.scrollHeight - this.#box.scrollTop - this.#box.clientHeight;
    this.#following = below < NEAR_END_PX;
    this.#button.hidden = this.#following;
  }
}
