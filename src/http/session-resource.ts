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
 * A session of this node or another.
 * @throws Failure `not_found`, and `unavailable` when a node that may have it does not answer
 */
export async function findSession(
  { sessions, others }: SessionSources,
  id: string,
): Promise<Session & SessionCounts> {
  if (!isSessionId(id)) throw unknownSession();
  const session = sessions.find(id) ?? (await others.find(id))?.session;
  if (session === undefined) throw unknownSession();
  return session;
}

/** The same with its final segments. */
export async function findTranscript(
  { sessions, transcripts, others }: TranscriptSources,
  id: string,
): Promise<RemoteSession> {
  if (!isSessionId(id)) throw unknownSession();
  const session = sessions.find(id);
  const found = session ? { session, segments: transcripts.segments(id) } : await others.find(id);
  if (found === undefined) throw unknownSession();
  return found;
}

export function isSessionId(id: string): boolean {
  return sessionId.safeParse(id).success;
}

export interface SessionSources {
  sessions: Pick<SessionStore, "find">;
  others: Pick<OtherNodes, "find">;
}

export interface TranscriptSources extends SessionSources {
  transcripts: TranscriptStore;
}

export function unknownSession(): Failure {
  return new Failure("not_found", "There is no such conversation.");
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
