import type { Page } from "playwright-core";
import { AUDIBLE, soundsIn } from "./audible.ts";
import { type Visitor, type VisitorOptions, visit } from "./browser.ts";
import { installProbe, type Probe } from "./probe.ts";

/** What a person fills in before Start; the rest stays as the page proposes it. */
export interface StartForm {
  room?: string;
  identity?: string;
  name?: string;
}

/** How long anything on the page may take, ms: the first session of a process loads the agent. */
const PATIENCE = 40_000;

/** A visitor who uses Parley's pages, with a probe inside them. */
export class Guest implements AsyncDisposable {
  readonly page: Page;
  readonly visitor: Visitor;
  /** Addresses of all requests and WebSockets of the page. */
  readonly requests: string[] = [];
  /** Texts of dialogs that the page opened. */
  readonly dialogs: string[] = [];

  private constructor(visitor: Visitor) {
    this.visitor = visitor;
    this.page = visitor.page;
    this.visitor.context.on("request", (request) => this.requests.push(request.url()));
    this.page.on("websocket", (socket) => this.requests.push(socket.url()));
    this.page.on("dialog", (dialog) => {
      this.dialogs.push(dialog.message());
      void dialog.dismiss();
    });
  }

  /** Opens a browser at an address. */
  static async at(url: string, options: VisitorOptions = {}): Promise<Guest> {
    const visitor = await visit("about:blank", options);
    await visitor.context.addInitScript(installProbe);
    const guest = new Guest(visitor);
    await guest.page.goto(url);
    return guest;
  }

  /** Presses Start and waits until the conversation is live; answers its id. */
  async start(form: StartForm = {}): Promise<string> {
    for (const [id, value] of Object.entries(form)) await this.page.fill(`#${id}`, value);
    await this.page.click("#start");
    return this.live();
  }

  /** Waits until the conversation is live; answers its id. */
  async live(): Promise<string> {
    await this.until("the conversation is live", () => {
      const status = document.getElementById("status")?.dataset["state"];
      return status === "live" && document.documentElement.dataset["sessionId"] !== undefined;
    });
    const id = await this.page.getAttribute("html", "data-session-id");
    return id ?? "";
  }

  /** Presses Stop and waits until the page is idle again. */
  async stop(): Promise<void> {
    await this.page.click("#stop");
    await this.until(
      "the page is idle",
      () => document.getElementById("status")?.dataset["state"] === "idle",
    );
  }

  /** Waits until the page shows a final line of this text. */
  async reads(role: "user" | "agent", text: string): Promise<void> {
    await this.until(
      `the page shows the ${role}'s "${text}"`,
      ([role, text]) =>
        [...document.querySelectorAll<HTMLElement>("#transcript .line")].some(
          (line) =>
            line.dataset["role"] === role &&
            line.dataset["final"] === "true" &&
            line.querySelector(".line-text")?.textContent === text,
        ),
      [role, text] as const,
    );
  }

  /** Waits until the agent's audio was heard for `ms` since a moment. */
  async hears(since: number, ms = 300): Promise<void> {
    await this.until(
      "the agent is heard",
      ([since, samples, audible]) => {
        const loud = window.probe.levels.filter(
          ({ at, rms, playing }) => at > since && playing && rms > audible,
        );
        return loud.length >= samples;
      },
      // The probe looks every 20 ms, less often on a busy machine.
      [since, ms / 40, AUDIBLE] as const,
    );
  }

  /** Waits until the agent's shown state is `state`. */
  async agentIs(state: string): Promise<void> {
    await this.until(
      `the agent is ${state}`,
      (state) => document.getElementById("agent-state")?.dataset["state"] === state,
      state,
    );
  }

  /** The transcript as the page shows it, as `role: text`; what is not final ends in `…`. */
  async shown(): Promise<string[]> {
    return this.page.evaluate(() =>
      [...document.querySelectorAll<HTMLElement>(".line")].map((line) => {
        const { role, final } = line.dataset;
        const text = line.querySelector(".line-text")?.textContent ?? "";
        return `${role}: ${text}${final === "true" ? "" : " …"}`;
      }),
    );
  }

  /** What the probe has noted. */
  async noted<K extends Exclude<keyof Probe, "microphones">>(what: K): Promise<Probe[K]> {
    return this.page.evaluate((what) => window.probe[what], what) as Promise<Probe[K]>;
  }

  /** Waits for something inside the page; a failure says what the page showed instead. */
  async until<A>(what: string, found: (given: A) => boolean, given?: A): Promise<void> {
    try {
      const options = { timeout: PATIENCE, polling: 50 };
      await this.page.waitForFunction(found as (given: unknown) => boolean, given, options);
    } catch (cause) {
      const message = `${what}: not within ${PATIENCE} ms. ${await this.describe()}`;
      throw new Error(message, { cause });
    }
  }

  /** How far the page, or its transcript, reaches beyond its right edge; px. */
  async overflow(): Promise<number> {
    return this.page.evaluate(() => {
      const boxes = [document.documentElement, document.getElementById("transcript-scroll")];
      return Math.max(...boxes.map((box) => (box ? box.scrollWidth - box.clientWidth : 0)));
    });
  }

  /** All that helps to understand a failure. */
  async describe(): Promise<string> {
    const [states, levels, announced] = await Promise.all([
      this.noted("states"),
      this.noted("levels"),
      this.noted("announced"),
    ]);
    const notice = await this.page.textContent("#notice").catch(() => null);
    return JSON.stringify(
      {
        url: this.page.url(),
        notice,
        shown: await this.shown(),
        states: states.map(({ of, state }) => `${of} ${state}`).join(", "),
        sounds: soundsIn(levels),
        loudest: Math.max(0, ...levels.map(({ rms }) => rms)),
        announced,
        complaints: this.visitor.complaints,
      },
      null,
      1,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.visitor[Symbol.asyncDispose]();
  }
}
