import type { Page, WebSocket } from "playwright-core";
import { type SpeakOptions, speak } from "../audio/speech.ts";
import { grantFrom } from "../caller.ts";
import { type BrowserOptions, type BrowserSession, openBrowser } from "./browser.ts";
import { installPageMicrophone, type Played } from "./page-microphone.ts";
import { installLevelMeter, installProbe, type Probe } from "./probe.ts";
import { RECORDER, RoomRecorder } from "./room-recorder.ts";
import { AUDIBLE, soundsIn } from "./sounds.ts";
import { saying } from "./spoken.ts";
import { TIMEOUT_MS, within } from "./wait.ts";

/** What a person fills in before Start; the rest stays as the page proposes it. */
export interface StartForm {
  room?: string;
  identity?: string;
  name?: string;
}

const MICROPHONE_RATE = 48_000;
/** Silence before the first words, ms: the agent's first packets of a track are not all heard. */
const BEFORE_FIRST_WORDS_MS = 500;

/** A person who uses Parley's pages in a browser, with a probe inside the pages. */
export class PageUser implements AsyncDisposable {
  readonly page: Page;
  readonly session: BrowserSession;
  /** Addresses of all requests and WebSockets of the page. */
  readonly requests: string[] = [];
  /** Texts of dialogs that the page opened. */
  readonly dialogs: string[] = [];
  /** Resolves when somebody in the room gets the sound of the page's newest connection. */
  #subscribed = Promise.resolve();
  #recorder: RoomRecorder | undefined;

  private constructor(session: BrowserSession) {
    this.session = session;
    this.page = session.page;
    this.session.context.on("request", (request) => this.requests.push(request.url()));
    this.page.on("websocket", (socket) => {
      this.requests.push(socket.url());
      if (socket.url().includes("/rtc")) this.#connected(socket);
    });
    this.page.on("dialog", (dialog) => {
      this.dialogs.push(dialog.message());
      void dialog.dismiss();
    });
  }

  /** Opens a browser at an address. */
  static async at(url: string, options: BrowserOptions = {}): Promise<PageUser> {
    const session = await openBrowser("about:blank", options);
    if (!options.device) await session.context.addInitScript(installPageMicrophone);
    await session.context.addInitScript(installProbe);
    await session.context.addInitScript(installLevelMeter);
    const user = new PageUser(session);
    user.page.setDefaultTimeout(TIMEOUT_MS);
    await user.page.goto(url);
    return user;
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
    await this.#endRecording();
  }

  /** Says a text into the page's microphone, once the agent listens to it; resolves at its end. */
  async say(text: string, options: Omit<SpeakOptions, "rate"> = {}): Promise<Played> {
    const recorder = await this.listenedTo();
    const samples = speak(text, { ...options, rate: MICROPHONE_RATE });
    const bytes = Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength);
    const pcm = bytes.toString("base64");
    return saying(recorder, { text, ...options }, () =>
      this.page.evaluate((pcm) => window.microphone.play(pcm), pcm),
    );
  }

  /** Waits until the agent gets the microphone's sound; from then on the room is recorded. */
  async listenedTo(): Promise<RoomRecorder> {
    if (this.#recorder) return this.#recorder;
    await this.until("the agent is there", () =>
      ["listening", "thinking", "speaking"].includes(
        document.getElementById("agent-state")?.dataset["state"] ?? "",
      ),
    );
    await within("the agent gets the microphone's sound", this.#subscribed);
    const [room, identity] = [
      await this.page.inputValue("#room"),
      await this.page.inputValue("#identity"),
    ];
    this.#recorder = await this.#record(room, identity);
    await Bun.sleep(BEFORE_FIRST_WORDS_MS);
    return this.#recorder;
  }

  async #record(room: string, identity: string): Promise<RoomRecorder> {
    const body = { room_name: room, participant_identity: RECORDER };
    const answer = await this.session.context.request.post(
      new URL("/token", this.page.url()).href,
      { data: body },
    );
    const { server_url, participant_token } = grantFrom(await answer.json());
    return RoomRecorder.join(server_url, participant_token, identity);
  }

  async #endRecording(): Promise<void> {
    const recorder = this.#recorder;
    this.#recorder = undefined;
    await recorder?.[Symbol.asyncDispose]();
  }

  /** Follows the connection of a new stay in a room. */
  #connected(socket: WebSocket): void {
    void this.#endRecording();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#subscribed = promise;
    socket.on("framereceived", ({ payload }) => {
      if (isTrackSubscribed(payload)) resolve();
    });
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
      // A level is of 20 ms; half of them may fall between words.
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
      const options = { timeout: TIMEOUT_MS, polling: 50 };
      await this.page.waitForFunction(found as (given: unknown) => boolean, given, options);
    } catch (cause) {
      const message = `${what}: not within ${TIMEOUT_MS} ms. ${await this.describe()}`;
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
        complaints: this.session.complaints,
      },
      null,
      1,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#endRecording();
    await this.session[Symbol.asyncDispose]();
  }
}

/** The key of field 23, `track_subscribed`, of LiveKit's `SignalResponse` (protobuf, a message). */
const TRACK_SUBSCRIBED = [0xba, 0x01];

function isTrackSubscribed(payload: string | Buffer): boolean {
  return TRACK_SUBSCRIBED.every((byte, index) => payload[index] === byte);
}
