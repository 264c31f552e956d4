import { firstMark, type Mark, sureLength } from "./thought-marks.ts";

/** What of a model's text is for people. */
export interface Shown {
  text: string;
  /** Everything that was shown before was a thought: the answer begins with this text. */
  restarts: boolean;
}

/** The end of thoughts that are marked by words (IBM's Granite), or whose marks the server removed. */
const WORDED: readonly [begin: RegExp, end: RegExp][] = [
  [/^here(?:'s| is) my thought process:/i, /here(?:'s| is) my response:/i],
  [/^analysis(?=[\p{Lu}"'“])/u, /assistant\s*final/],
];
/** The beginnings of answers that may turn out to be thoughts. */
const FIRST_WORDS = ["here is my thought process:", "here's my thought process:"];
const CHANNELS = ["analysis", "commentary", "final"];
const CHANNEL_FIRST = /^(analysis|commentary|final)\s*(?=<\|message\|>)/i;

/**
 * Removes a model's thoughts, and calls of tools, from its text, wherever the text is cut. A mark
 * inside code or quotation marks is ordinary text.
 *
 * Some chat templates write the opening mark into the prompt, so the text begins in a thought and
 * only its end is marked. Then everything before was a thought: `restarts` says so, and
 * `holdsBeginning` keeps it from being shown at all.
 */
export class ThoughtFilter {
  #pending = "";
  #mode: "beginning" | "shown" | "hidden" | "header" = "beginning";
  /** What ends the hidden text, if it is not a mark. */
  #wordedEnd: RegExp | undefined;
  #header = "";
  /** The backquotes that opened code, while it is open. */
  #code = "";
  /** Text that is shown only if no closing mark follows. */
  #held: string | undefined;
  #hadThoughts = false;
  #hadTool = false;
  #loneClose = false;
  #mayRestart = false;
  #restarts = false;
  #last = "";

  constructor(holdsBeginning: boolean) {
    this.#held = holdsBeginning ? "" : undefined;
  }

  /** Whether the text had thoughts. */
  get hadThoughts(): boolean {
    return this.#hadThoughts || this.#loneClose;
  }

  /** Whether the text called a tool. */
  get hadTool(): boolean {
    return this.#hadTool;
  }

  /** Whether the text began in a thought. */
  get beganInThought(): boolean {
    return this.#loneClose;
  }

  /** The thoughts come another way, so the text is the answer. */
  release(): void {
    const held = this.#held ?? "";
    this.#held = undefined;
    this.#pending = held + this.#pending;
  }

  /** Takes the next part of the text. */
  write(text: string): Shown {
    this.#pending += text;
    return this.#shown(this.#read(false));
  }

  /** Takes the end of the text. */
  end(): Shown {
    let text = this.#read(true);
    if (this.#held !== undefined) {
      text = this.#held + text;
      this.#held = undefined;
    }
    // A closing mark at the very end closes nothing if the thoughts had their own.
    if (!this.#mayRestart || this.#hadThoughts) return this.#shown(text);
    this.#restarts = true;
    return this.#shown("");
  }

  #shown(text: string): Shown {
    const restarts = this.#restarts;
    this.#restarts = false;
    return { text, restarts };
  }

  #read(isEnd: boolean): string {
    let shown = "";
    for (;;) {
      const mayRestart = this.#mayRestart;
      this.#mayRestart = false;
      const { text, again } = this.#step(isEnd);
      if (mayRestart && text.trim() !== "") {
        this.#restarts = true;
        shown = "";
      } else {
        this.#mayRestart ||= mayRestart;
      }
      shown += text;
      if (!again) break;
    }
    if (this.#held === undefined) return shown;
    if (this.#restarts) {
      // What was held is gone, and the answer begins here.
      this.#restarts = false;
      this.#held = undefined;
      return shown;
    }
    this.#held += shown;
    return "";
  }

  #step(isEnd: boolean): { text: string; again: boolean } {
    if (this.#mode === "beginning") return this.#begin(isEnd);
    if (this.#mode === "hidden" && this.#wordedEnd) return this.#skipWorded();
    const mark = firstMark(this.#pending);
    if (this.#mode === "shown") return this.#show(mark, isEnd);
    if (this.#mode === "header") return this.#readHeader(mark);
    return this.#skip(mark);
  }

  /** Looks whether the text begins with thoughts that have no opening mark. */
  #begin(isEnd: boolean): { text: string; again: boolean } {
    const text = this.#pending.trimStart();
    const lower = text.toLowerCase();
    const words = [...FIRST_WORDS, ...CHANNELS.map((name) => `${name}<|message|>`)];
    const mayGoOn =
      text === "" ||
      words.some((word) => word.startsWith(lower)) ||
      CHANNELS.some((name) => lower === name || lower === `${name} `);
    if (mayGoOn && !isEnd) return { text: "", again: false };
    const channel = CHANNEL_FIRST.exec(text)?.[1];
    const worded = WORDED.find(([begin]) => begin.test(text));
    this.#mode = "shown";
    if (channel) {
      this.#header = channel;
      this.#mode = "header";
      this.#pending = text.slice(channel.length);
    } else if (worded) {
      this.#hide();
      this.#wordedEnd = worded[1];
    }
    return { text: "", again: true };
  }

  #show(mark: Mark | undefined, isEnd: boolean): { text: string; again: boolean } {
    if (!mark) return { text: this.#take(isEnd ? undefined : this.#sure()), again: false };
    const before = this.#pending.slice(0, mark.start);
    const after = this.#pending.slice(mark.end);
    const code = codeAfter(this.#code, before);
    const ordinary = this.#isOrdinary(code, before, after, isEnd);
    if (ordinary === undefined) return { text: this.#take(mark.start), again: false };
    if (ordinary) return { text: this.#take(mark.end), again: true };
    const text = this.#take(mark.start);
    this.#pending = after;
    this.#code = "";
    this.#enter(mark);
    return { text, again: true };
  }

  /** Whether a mark is only quoted; undefined: what follows must be awaited. */
  #isOrdinary(code: string, before: string, after: string, isEnd: boolean): boolean | undefined {
    if (code.length >= 3) return true;
    if (code !== "") {
      const line = after.split("\n")[0] ?? "";
      if (line.includes(code)) return true;
      return isEnd || after.includes("\n") ? false : undefined;
    }
    const previous = before.at(-1) ?? this.#last;
    if (!/["'“‘«„]/.test(previous)) return false;
    if (after === "" && !isEnd) return undefined;
    return /^["'”’»“]/.test(after);
  }

  #enter(mark: Mark): void {
    switch (mark.kind) {
      case "tool":
        this.#hadTool = true;
        this.#mode = "hidden";
        break;
      case "open":
        this.#hide();
        break;
      case "header":
        this.#header = "";
        this.#mode = "header";
        break;
      case "close":
        this.#mayRestart = true;
        if (!this.#hadThoughts && !this.#hadTool) this.#loneClose = true;
        break;
      case "message":
      case "drop":
        break;
    }
  }

  #hide(): void {
    this.#hadThoughts = true;
    this.#mode = "hidden";
    // The thoughts have their opening mark, so what follows them is the answer.
    if (this.#held?.trim() === "") this.#held = undefined;
  }

  /** Skips the name of a channel or a role. */
  #readHeader(mark: Mark | undefined): { text: string; again: boolean } {
    const line = this.#pending.indexOf("\n");
    if (line >= 0 && line < (mark?.start ?? Number.POSITIVE_INFINITY)) {
      // `<|im_start|>assistant` ends with its line.
      this.#pending = this.#pending.slice(line + 1);
      this.#mode = "shown";
      return { text: "", again: true };
    }
    if (!mark) return { text: "", again: false };
    this.#header += this.#pending.slice(0, mark.start);
    this.#pending = this.#pending.slice(mark.end);
    if (mark.kind === "header") this.#header = "";
    if (mark.kind !== "message") return { text: "", again: true };
    if (/^\s*(?:analysis|commentary)/i.test(this.#header)) this.#hide();
    else this.#mode = "shown";
    if (/\bto=/.test(this.#header)) this.#hadTool = true;
    return { text: "", again: true };
  }

  #skip(mark: Mark | undefined): { text: string; again: boolean } {
    if (!mark) {
      this.#pending = this.#pending.slice(sureLength(this.#pending));
      return { text: "", again: false };
    }
    this.#pending = this.#pending.slice(mark.end);
    if (mark.kind === "header") {
      this.#header = "";
      this.#mode = "header";
    } else if (mark.kind === "close" || mark.kind === "drop") {
      this.#mode = "shown";
    }
    return { text: "", again: true };
  }

  #skipWorded(): { text: string; again: boolean } {
    const end = this.#wordedEnd?.exec(this.#pending);
    if (!end) return { text: "", again: false };
    this.#pending = this.#pending.slice(end.index + end[0].length);
    this.#wordedEnd = undefined;
    this.#mode = "shown";
    return { text: "", again: true };
  }

  /** Up to where the pending text has no part of a mark, nor backquotes that may go on. */
  #sure(): number {
    const end = sureLength(this.#pending);
    return this.#pending.slice(0, end).replace(/`+$/, "").length;
  }

  #take(end = this.#pending.length): string {
    const text = this.#pending.slice(0, end);
    this.#pending = this.#pending.slice(end);
    this.#code = codeAfter(this.#code, text);
    this.#last = text.at(-1) ?? this.#last;
    return text;
  }
}

/** The backquotes that are open after a text. Code of one or two ends with its line. */
function codeAfter(open: string, text: string): string {
  let code = open;
  for (const [found] of text.matchAll(/`+|\n/g)) {
    if (found === "\n") code = code.length >= 3 ? code : "";
    else if (code === "") code = found;
    else if (found === code || (code.length >= 3 && found.length >= code.length)) code = "";
  }
  return code;
}
