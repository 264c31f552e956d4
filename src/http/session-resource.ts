import { z } from "zod";
import type { OtherNodes, RemoteSession } from "../domain/other-nodes.ts";
import {
  freeText,
  keyterms,
  languageChoice,
  participantIdentity,
  roomName,
  SESSION_MODES,
  type Session,
  type SessionCounts,
  type SessionRequest,
  sessionId,
  shortName,
} from "../domain/session.ts";
import type { SessionStore, TranscriptStore } from "../domain/stores.ts";
import { Failure } from "../errors.ts";
import { optional } from "./request.ts";

/** The body of `POST /session`. Empty optional fields count as absent, as HTML forms send them. */
export const sessionRequest: z.ZodType<SessionRequest> = z.object({
  room: roomName,
  mode: optional(z.enum(SESSION_MODES)),
  identity: optional(participantIdentity),
  system_prompt: optional(freeText("system_prompt", 8000)),
  greeting: optional(freeText("greeting", 1000)),
  voice: optional(shortName("voice", 64)),
  language: optional(languageChoice),
  keyterms: keyterms.optional(),
  llm_model: optional(shortName("llm_model", 128)),
});

/**
 * A session of this node or another, with its final segments.
 * @throws Failure `not_found`, and `unavailable` when a node that may have it does not answer
 */
export async function findTranscript(
  { sessions, transcripts, others }: TranscriptSources,
  id: string,
): Promise<RemoteSession> {
  if (!sessionId.safeParse(id).success) throw unknownSession();
  const session = sessions.find(id);
  if (session) return { session, segments: transcripts.segments(id) };
  const remote = await others.find(id);
  if (remote === undefined) throw unknownSession();
  return remote;
}

export interface TranscriptSources {
  sessions: Pick<SessionStore, "find">;
  transcripts: TranscriptStore;
  others: Pick<OtherNodes, "find">;
}

export function unknownSession(): Failure {
  return new Failure("not_found", "There is no such conversation.");
}

/** Sessions of several nodes, newest first. */
export function newestFirst<T extends Pick<Session, "started_at" | "id">>(sessions: T[]): T[] {
  return sessions.sort(
    (one, other) => other.started_at - one.started_at || (one.id < other.id ? 1 : -1),
  );
}

/** A session as the API answers it. */
export function sessionJson(session: Session & SessionCounts) {
  const { system_prompt, greeting, voice, language, keyterms } = session;
  const { stt_model, llm_model, tts_model } = session;
  return {
    session_id: session.id,
    room: session.room,
    identity: session.identity,
    name: session.name,
    state: session.state,
    started_at: isoTime(session.started_at),
    ended_at: isoTime(session.ended_at),
    end_reason: session.end_reason,
    settings: {
      ...{ system_prompt, greeting, voice, language, keyterms },
      ...{ stt_model, llm_model, tts_model },
    },
    counts: { segments: session.segments, turns: session.turns },
  };
}

/** ISO 8601 in UTC, as the API writes times. */
export function isoTime(ms: number): string;
export function isoTime(ms: number | null): string | null;
export function isoTime(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}
