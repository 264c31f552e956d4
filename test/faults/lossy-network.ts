import { join } from "node:path";
import { z } from "zod";
import { type Envelope, envelope } from "../../src/domain/transcript.ts";
import { linesOf } from "../../src/lib/child-output.ts";
import { grantIn } from "../caller.ts";
import { LiveKitChild } from "../e2e/livekit-child.ts";
import { eventually, within } from "../e2e/wait.ts";
import { type Parley, providerEnv, startParley } from "../parley.ts";
import { startStandIn } from "../stand-in/openai.ts";
import { lostIn, seenIn, transcripts } from "./conversation.ts";
import type { Fault, Outcome } from "./fault.ts";

// A person speaks over a network that delays and loses packets, both of LiveKit and of Parley.

const PHRASE = "Hello there.";
const DELAY_MS = 300;

export const faults: Fault[] = [0.05, 0.3].map((loss) => ({
  what: `the person's network loses ${loss * 100} % and delays by ${DELAY_MS} ms, each way`,
  run: () => talkOver(loss),
}));

async function talkOver(loss: number): Promise<Outcome> {
  await using opening = new AsyncDisposableStack();
  const network = opening.use(await Network.open());
  const livekit = opening.use(new LiveKitChild(network.near));
  await livekit.start();
  const ai = opening.use(await startStandIn({ phrases: [PHRASE], realtime: false }));
  const env = {
    ...providerEnv(ai.url, false),
    ...livekit.env,
    HOST: network.near,
    AUTH_DISABLED: "true",
  };
  const parley = opening.use(await startParley({ env }));
  const person = opening.use(await FarPerson.join(network, parley));
  await person.turn(PHRASE);
  await network.set(loss, DELAY_MS);
  const slow = await person.turn(PHRASE);
  await person.turn(PHRASE);
  await network.set(0, 0);
  const backMs = await person.turn(PHRASE);
  const seen = `${seenIn(person.events)}; answered after ${(slow / 1000).toFixed(1)} s`;
  await parley.fetch(`/session/${person.id}`, { method: "DELETE" });
  await person.closed();
  const lost = await lostIn({ id: person.id, events: person.events, accepted: [] }, parley);
  const gaps = person.events.filter(({ seq }, index) => seq !== index + 1);
  lost.push(...gaps.map(({ seq }) => `the person was sent ${seq} out of order, or not before it`));
  return { seen, backMs, lost };
}

/** A namespace that is reached over a network which can become bad. Needs root. */
class Network implements AsyncDisposable {
  /** Addresses on this side and on the other. */
  readonly near: string;
  readonly far: string;
  readonly namespace = `parley-${process.pid}-${crypto.randomUUID().slice(0, 8)}`;
  readonly #link: Bun.Subprocess<"pipe", "pipe", "inherit">;
  readonly #answers: AsyncIterator<string>;

  private constructor() {
    const third = Math.floor(Math.random() * 256);
    this.near = `10.77.${third}.1`;
    this.far = `10.77.${third}.2`;
    const { exitCode, stderr } = Bun.spawnSync(["ip", "netns", "add", this.namespace]);
    if (exitCode !== 0) {
      throw new Error(`A network that fails is made by root (CAP_NET_ADMIN): ${stderr}`.trim());
    }
    const link = join(import.meta.dir, "lossy-link.ts");
    const command = [process.execPath, link, this.namespace, this.near, this.far];
    this.#link = Bun.spawn(command, { stdio: ["pipe", "pipe", "inherit"] });
    this.#answers = linesOf(this.#link.stdout);
  }

  static async open(): Promise<Network> {
    const network = new Network();
    await within("the network is there", network.#answers.next());
    return network;
  }

  /** @param loss from 0 to 1 */
  async set(loss: number, delayMs: number): Promise<void> {
    this.#link.stdin.write(`${loss} ${delayMs}\n`);
    await within("the network changes", this.#answers.next());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#link.kill("SIGKILL");
    await this.#link.exited;
    Bun.spawnSync(["ip", "netns", "delete", this.namespace]);
  }
}

const report = z.object({
  event: envelope.optional(),
  heardAt: z.number().optional(),
  closed: z.number().optional(),
});

/** A person in the namespace of a network, who talks with a Parley. */
class FarPerson implements AsyncDisposable {
  readonly id: string;
  readonly events: Envelope[] = [];
  #heardAt = 0;
  #closed: number | undefined;
  readonly #process: Bun.Subprocess<"pipe", "pipe", "inherit">;

  private constructor(id: string, process: Bun.Subprocess<"pipe", "pipe", "inherit">) {
    this.id = id;
    this.#process = process;
  }

  static async join(network: Network, parley: Parley): Promise<FarPerson> {
    const grant = await grantIn(parley, "far", "ada");
    const id = await parley.startSession({ room: "far", identity: "ada" });
    const person = join(import.meta.dir, "far-person.ts");
    const transcript = `${parley.url.replace("http", "ws")}/ws/transcript/${id}?after=0`;
    const words = [grant.server_url, grant.participant_token, transcript];
    const child = Bun.spawn(
      ["ip", "netns", "exec", network.namespace, process.execPath, person, ...words],
      { stdio: ["pipe", "pipe", "inherit"], env: { ...Bun.env, NODE_ENV: "production" } },
    );
    const far = new FarPerson(id, child);
    const joined = Promise.withResolvers<void>();
    void far.#follow(joined.resolve);
    await within("the person joins", joined.promise);
    return far;
  }

  /** Says something, and waits until the answer is written and was heard; ms from start to end. */
  async turn(text: string): Promise<number> {
    const now = this.events.length;
    const from = Date.now();
    this.#process.stdin.write(`${text}\n`);
    const isAnswered = async () => {
      const news = transcripts(this.events.slice(now)).filter(({ final }) => final);
      const roles = news.map(({ role }) => role);
      return roles.includes("user") && roles.includes("agent") && this.#heardAt > from;
    };
    await eventually("the spoken turn is answered", isAnswered, Boolean, 60_000);
    return Date.now() - from;
  }

  /** Waits for the end of the transcript's WebSocket. */
  async closed(): Promise<void> {
    await eventually(
      "the WebSocket closes",
      async () => this.#closed,
      (code) => code === 1000,
    );
  }

  async #follow(joined: () => void): Promise<void> {
    const reports = linesOf(this.#process.stdout);
    for (let next = await reports.next(); !next.done; next = await reports.next()) {
      const { event, heardAt, closed } = report.parse(JSON.parse(next.value));
      if (event) this.events.push(event);
      else if (heardAt !== undefined) this.#heardAt = heardAt;
      else if (closed !== undefined) this.#closed = closed;
      else joined();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.exited;
  }
}
