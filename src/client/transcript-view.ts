import type { Role, TranscriptData } from "../domain/transcript.ts";
import { make } from "./elements.ts";
import { clock } from "./names.ts";

const WHO: Record<Role, string> = { user: "You", agent: "Agent" };

interface Line {
  item: HTMLLIElement;
  text: HTMLElement;
  startedAt: number;
  final: boolean;
}

/**
 * The live transcript: one line a segment, in the order in which the segments began. An interim is
 * replaced in place, by its segment's id, until its final came; nothing changes it after that.
 */
export class TranscriptView {
  readonly #list: HTMLElement;
  readonly #announcer: HTMLElement;
  readonly #onChange: () => void;
  readonly #lines = new Map<string, Line>();
  /** When the conversation began, ms; times are shown from there. */
  #origin: number | undefined;
  /** The person's own identity; others in the room are named. */
  #identity = "";

  constructor(list: HTMLElement, announcer: HTMLElement, onChange: () => void) {
    this.#list = list;
    this.#announcer = announcer;
    this.#onChange = onChange;
  }

  /** Empties the transcript for a new conversation of `identity`. */
  begin(identity: string): void {
    this.#lines.clear();
    this.#list.replaceChildren();
    this.#announcer.textContent = "";
    this.#origin = undefined;
    this.#identity = identity;
    this.#onChange();
  }

  /** When the conversation began; without it the first line counts as the beginning. */
  setOrigin(startedAt: number): void {
    this.#origin = startedAt;
  }

  /** Shows a segment; `announce` lets a screen reader say it once it is final. */
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
    if (!empty) line.text.textContent = data.text;
    line.final = data.final;
    line.item.dataset["final"] = String(data.final);
    if (data.interrupted === true) this.#markInterrupted(line);
    if (data.final && announce) this.#announce(data);
    this.#onChange();
  }

  /** The interims that are left when a conversation ends will never become final. */
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
    const who = make("span", "line-who", this.#nameOf(data));
    who.dir = "auto";
    const text = make("p", "line-text");
    // What is said may be in any script, whatever the page's own direction is.
    text.dir = "auto";
    const time = make("time", "line-time", clock(data.started_at - this.#origin));
    item.append(who, text, time);
    const line = { item, text, startedAt: data.started_at, final: false };
    this.#place(line);
    this.#lines.set(data.segment_id, line);
    return line;
  }

  /** After the last line that began no later: speech overlaps, and replays come in bulk. */
  #place(line: Line): void {
    const earlier = [...this.#lines.values()].filter((other) => other.startedAt <= line.startedAt);
    const last = earlier.reduce<Line | undefined>(
      (latest, other) => (latest && latest.startedAt > other.startedAt ? latest : other),
      undefined,
    );
    if (last) last.item.after(line.item);
    else this.#list.prepend(line.item);
  }

  #nameOf(data: TranscriptData): string {
    const own = data.role === "agent" || data.identity === this.#identity || data.identity === "";
    return own ? WHO[data.role] : data.identity;
  }

  #markInterrupted(line: Line): void {
    if (line.item.dataset["interrupted"] === "true") return;
    line.item.dataset["interrupted"] = "true";
    line.item.append(make("span", "line-mark", "interrupted"));
  }

  #announce(data: TranscriptData): void {
    const said = make("p", "", `${this.#nameOf(data)}: ${data.text}`);
    // One at a time: a reader that missed one finds it in the transcript.
    this.#announcer.replaceChildren(said);
  }
}
