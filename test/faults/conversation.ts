import type { Envelope, TranscriptData } from "../../src/domain/transcript.ts";
import { type Caller, joinRoom } from "../caller.ts";
import { event, storedTranscript } from "../e2e/environment.ts";
import { within } from "../e2e/wait.ts";
import type { Listener, Parley } from "../parley.ts";

/** A conversation as its clients know it: the words that were accepted, and all that was sent. */
export class Conversation implements AsyncDisposable {
  readonly parley: Parley;
  readonly room: string;
  readonly id: string;
  /** A participant who hears the agent; without one, it answers in writing. */
  readonly caller: Caller | undefined;
  /** Typed words that Parley has accepted. */
  readonly accepted: string[] = [];
  readonly #listeners: Listener[] = [];

  private constructor(parts: Pick<Conversation, "parley" | "room" | "id" | "caller">) {
    this.parley = parts.parley;
    this.room = parts.room;
    this.id = parts.id;
    this.caller = parts.caller;
  }

  /** Starts a session in a room of its own and listens to it from its first event on. */
  static async begin(
    parley: Parley,
    settings: { joined?: boolean; room?: string } = {},
  ): Promise<Conversation> {
    const { joined = false, room = `room-${crypto.randomUUID()}` } = settings;
    await using opening = new AsyncDisposableStack();
    const caller = joined ? opening.use(await joinRoom(parley, room, "ada")) : undefined;
    const id = await parley.startSession({ room });
    const conversation = await Conversation.of(parley, { room, id, caller });
    opening.move();
    return conversation;
  }

  /** Listens to a conversation that runs. */
  static async of(
    parley: Parley,
    parts: Pick<Conversation, "room" | "id"> & Partial<Pick<Conversation, "caller">>,
  ): Promise<Conversation> {
    const conversation = new Conversation({ parley, caller: undefined, ...parts });
    await conversation.listen();
    return conversation;
  }

  /** Everything that was sent, over all connections. */
  get events(): Envelope[] {
    return this.#listeners.flatMap(({ events }) => events);
  }

  /** The newest connection. */
  get listener(): Listener {
    const newest = this.#listeners.at(-1);
    if (newest === undefined) throw new Error("nobody listens");
    return newest;
  }

  /** The number of the newest event that was sent. */
  get now(): number {
    return this.events.reduce((newest, { seq }) => Math.max(newest, seq), 0);
  }

  /** Opens another connection. @param parley another instance, or one that was started again */
  async listen(parley: Parley = this.parley, after = 0): Promise<Listener> {
    const listener = await within("the WebSocket opens", parley.listen(this.id, after));
    this.#listeners.push(listener);
    return listener;
  }

  /** Types something. @throws Error with the answer, unless Parley accepts it */
  async type(text: string): Promise<void> {
    const response = await this.parley.post(`/session/${this.id}/message`, { text });
    const answer = await response.text();
    if (response.status !== 202) throw new Error(`typing: ${response.status} ${answer}`);
    this.accepted.push(text);
  }

  /** Types something and waits for the whole answer; ms that it took. */
  async turn(text = "Are you there?"): Promise<number> {
    const { now } = this;
    const started = performance.now();
    await this.type(text);
    await this.answer(now);
    return performance.now() - started;
  }

  /** The agent's next final after event `after`. */
  answer(after: number): Promise<Envelope> {
    const isAnswer = ({ seq, type, data }: Envelope) =>
      seq > after && type === "transcript" && data.role === "agent" && data.final;
    return event(this.listener, "the agent's answer", isAnswer);
  }

  /** Waits for an event that was or will be sent. */
  event(what: string, found: (event: Envelope) => boolean): Promise<Envelope> {
    return event(this.listener, what, found);
  }

  /** `DELETE /session/:id`; its status. */
  async stop(): Promise<number> {
    const path = `/session/${this.id}`;
    const stopping = this.parley.fetch(path, { method: "DELETE" });
    return (await within("the conversation ends", stopping)).status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const listener of this.#listeners) await listener[Symbol.asyncDispose]();
    await this.caller?.[Symbol.asyncDispose]();
  }
}

/** Waits until the WebSocket is closed; its code. */
export async function closeCode(listener: Listener): Promise<number> {
  return (await within("the WebSocket closes", listener.closed)).code;
}

/** Transcripts among events. */
export function transcripts(events: readonly Envelope[]): (TranscriptData & { seq: number })[] {
  return events.flatMap(({ seq, type, data }) => (type === "transcript" ? [{ ...data, seq }] : []));
}

/** What was acknowledged in a conversation and is missing or different in a Parley's transcript. */
export async function lostIn(
  { id, events, accepted }: Pick<Conversation, "id" | "events" | "accepted">,
  parley: Parley,
): Promise<string[]> {
  const { segments } = await storedTranscript(parley, id);
  const lost: string[] = [];
  for (const sent of transcripts(events).filter(({ final }) => final)) {
    const stored = segments.find(({ segment_id }) => segment_id === sent.segment_id);
    const same =
      stored?.text === sent.text &&
      stored.role === sent.role &&
      stored.seq === sent.seq &&
      stored.interrupted === (sent.interrupted ?? false);
    if (!same) lost.push(`${id} sent ${JSON.stringify(sent)}, stored ${JSON.stringify(stored)}`);
  }
  const typed = segments.filter(({ role }) => role === "user").map(({ text }) => text);
  for (const text of accepted) {
    const at = typed.indexOf(text);
    if (at < 0) lost.push(`${id} accepted "${text}", which is not stored`);
    else typed.splice(at, 1);
  }
  return lost;
}

/** What a person saw in these events: errors, notices, and why a conversation ended. */
export function seenIn(events: readonly Envelope[]): string {
  const words = events.flatMap(({ type, data }) => {
    if (type === "error" || type === "notice") return [`${data.code}: ${data.message}`];
    if (type === "session" && data.state === "ended") return [`ended as ${data.reason}`];
    return [];
  });
  return [...new Set(words)].join("; ") || "nothing";
}
