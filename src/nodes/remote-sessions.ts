import { z } from "zod";
import type { OtherNodes, RemoteSession } from "../domain/other-nodes.ts";
import {
  type EndReason,
  type Session,
  type SessionCounts,
  sessionId,
  typedText,
} from "../domain/session.ts";
import type { SessionStore, TranscriptStore } from "../domain/stores.ts";
import type { Segment } from "../domain/transcript.ts";
import type { NodeRequests } from "./node-requests.ts";

/** All that a node may be asked by another. */
const question = z.discriminatedUnion("about", [
  z.object({ about: z.literal("live") }),
  z.object({ about: z.literal("find"), id: sessionId }),
  z.object({ about: z.literal("stop"), id: sessionId }),
  z.object({ about: z.literal("say"), id: sessionId, text: typedText }),
]);
type Question = z.infer<typeof question>;

const text = z.string();
const time = z.number();

const session: z.ZodType<Session & SessionCounts> = z.object({
  id: text,
  room: text,
  identity: text.nullable(),
  name: text.nullable(),
  system_prompt: text,
  greeting: text.nullable(),
  voice: text,
  language: text.nullable(),
  keyterms: z.array(text),
  stt_model: text,
  llm_model: text,
  tts_model: text,
  state: z.enum(["starting", "active", "ending", "ended"]),
  started_at: time,
  ended_at: time.nullable(),
  end_reason: z.custom<EndReason>((value) => typeof value === "string").nullable(),
  segments: z.int(),
  turns: z.int(),
  heard_language: text.nullable(),
});

const segment: z.ZodType<Segment> = z.object({
  seq: z.int(),
  segment_id: text,
  role: z.enum(["user", "agent"]),
  identity: text,
  text,
  started_at: time,
  ended_at: time,
  interrupted: z.boolean(),
  language: text.nullable(),
});

const sessionList = z.array(session);
const remoteSession = z.object({ session, segments: z.array(segment) });

/** What a node needs to answer about its own sessions. */
export interface OwnSessions {
  sessions: Pick<SessionStore, "find" | "live">;
  transcripts: TranscriptStore;
  stop(id: string): Promise<void>;
  say(id: string, text: string): Promise<void>;
}

/**
 * Answers another node; undefined: its question is not about a session of this node, or comes from
 * a version that asks otherwise.
 *
 * @throws Failure as `stop` and `say` do
 */
export async function respondTo(asked: unknown, own: OwnSessions): Promise<unknown> {
  const { data } = question.safeParse(asked);
  if (data === undefined) return undefined;
  if (data.about === "live") return own.sessions.live();
  const found = own.sessions.find(data.id);
  if (found === undefined) return undefined;
  switch (data.about) {
    case "find":
      return { session: found, segments: own.transcripts.segments(data.id) };
    case "stop":
      await own.stop(data.id);
      return true;
    case "say":
      await own.say(data.id, data.text);
      return true;
  }
}

/** The sessions of the other nodes, by asking all of them: see `OtherNodes`. */
export class RemoteSessions implements OtherNodes {
  readonly #requests: Pick<NodeRequests, "first" | "all">;

  constructor(requests: Pick<NodeRequests, "first" | "all">) {
    this.#requests = requests;
  }

  async live(): Promise<(Session & SessionCounts)[]> {
    const lists = await this.#requests.all({ about: "live" } satisfies Question);
    return lists.flatMap((list) => sessionList.parse(list));
  }

  async find(id: string): Promise<RemoteSession | undefined> {
    const found = await this.#requests.first({ about: "find", id } satisfies Question);
    return remoteSession.optional().parse(found);
  }

  async stop(id: string): Promise<boolean> {
    return (await this.#requests.first({ about: "stop", id } satisfies Question)) === true;
  }

  async say(id: string, words: string): Promise<boolean> {
    const asked = { about: "say", id, text: words } satisfies Question;
    return (await this.#requests.first(asked)) === true;
  }
}
