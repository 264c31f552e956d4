import { z } from "zod";
import { AUTOMATIC, canonicalTag } from "./language.ts";

/** Prefix of the LiveKit identities that belong to agents; participants may not use it. */
export const AGENT_IDENTITY_PREFIX = "agent-";

/**
 * Control characters (C0, DEL, C1), line separators, the bidirectional marks, overrides and
 * isolates of UAX #9, and characters without width: they can make one name look like another.
 * The joiners U+200C and U+200D are allowed, because scripts and emoji need them.
 */
const FORBIDDEN_CHARACTERS =
  /[\p{Cc}\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]/u;

/** A short name that people see: 1 to `max` characters after trimming, no control characters. */
export function shortName(what: string, max: number) {
  return z
    .string({ error: `${what} is missing` })
    .trim()
    .min(1, `${what} is empty`)
    .max(max, `${what} is longer than ${max} characters`)
    .refine((value) => !FORBIDDEN_CHARACTERS.test(value), `${what} has control characters`);
}

export const roomName = shortName("room", 128);

export const participantIdentity = shortName("identity", 128).refine(
  (value) => !value.startsWith(AGENT_IDENTITY_PREFIX),
  `identity may not start with "${AGENT_IDENTITY_PREFIX}"`,
);

export const participantName = shortName("name", 128);

/** Text that a person types, without NUL; `max` is in UTF-16 code units. */
export function freeText(what: string, max: number) {
  return (
    z
      .string({ error: `${what} is missing` })
      // zod's own limit counts code points.
      .refine(({ length }) => length <= max, `${what} is longer than ${max} characters`)
      .refine((value) => !value.includes("\0"), `${what} has a NUL character`)
  );
}

/** The longest text that a person may type, in UTF-16 code units. */
export const MAX_TYPED = 4000;

/** What a person types to the agent. */
export const typedText = freeText("text", MAX_TYPED).refine(
  (value) => value.trim() !== "",
  "text is empty",
);

/** The instructions for the language model unless others are configured or requested. */
export const DEFAULT_SYSTEM_PROMPT =
  "You are Parley, a friendly voice assistant. Answer in one to three short spoken sentences, " +
  "without lists, markup or emoji. Ask when something is unclear.";

/** A language as a setting or a request names it: `auto`, or a BCP 47 tag, made canonical. */
export const languageChoice = z
  .string({ error: "language is not a text" })
  .trim()
  .transform((value, context) => {
    if (value.toLowerCase() === AUTOMATIC) return AUTOMATIC;
    const tag = canonicalTag(value);
    if (tag !== undefined) return tag;
    const message = `language must be "${AUTOMATIC}" or a tag such as en, de or pt-BR`;
    context.addIssue({ code: "custom", message });
    return z.NEVER;
  });

const MAX_KEYTERMS = 100;

/** Words and names that the recogniser should expect. */
export const keyterms = z
  .array(shortName("a word to expect", 64), { error: "keyterms is not a list of texts" })
  .max(MAX_KEYTERMS, `there are more than ${MAX_KEYTERMS} words to expect`);

/** How a conversation is served: by the three stages, or by one realtime model. */
export const SESSION_MODES = ["pipeline", "speech_to_speech"] as const;
export type SessionMode = (typeof SESSION_MODES)[number];

/** What a caller may choose for a session; the rest comes from the configuration. */
export interface SessionRequest {
  room: string;
  /** Undefined: speech to speech if it was chosen, else the three stages. */
  mode?: SessionMode | undefined;
  identity?: string | undefined;
  system_prompt?: string | undefined;
  greeting?: string | undefined;
  voice?: string | undefined;
  /** A BCP 47 tag, or `auto`. */
  language?: string | undefined;
  keyterms?: readonly string[] | undefined;
  llm_model?: string | undefined;
}

export const sessionId = z.uuidv7("session_id is not a UUIDv7");

export type SessionState = "starting" | "active" | "ending" | "ended";

/** Why a session ended; the history shows it and the last `session` event carries it. */
export type EndReason =
  | "stopped"
  | "user_left"
  | "idle"
  | "time_limit"
  | "room_closed"
  | "livekit_lost"
  | "room_taken"
  | "provider_failed"
  | "agent_failed"
  | "shutdown"
  | "crashed";

/** The settings of a session, after defaults are applied. */
export interface SessionSettings {
  system_prompt: string;
  greeting: string | null;
  voice: string;
  /** The language that is spoken, as a BCP 47 tag; null: the recogniser finds out. */
  language: string | null;
  /** Words and names that the recogniser should expect. */
  keyterms: readonly string[];
  stt_model: string;
  llm_model: string;
  tts_model: string;
}

/** One conversation. Times are integer ms since the epoch, UTC. */
export interface Session extends SessionSettings {
  id: string;
  room: string;
  identity: string | null;
  name: string | null;
  state: SessionState;
  started_at: number;
  ended_at: number | null;
  end_reason: EndReason | null;
}

/** Sorts sessions in place: the newest first, as every list shows them. */
export function newestFirst<T extends Pick<Session, "started_at" | "id">>(sessions: T[]): T[] {
  return sessions.sort(
    (one, other) => other.started_at - one.started_at || (one.id < other.id ? 1 : -1),
  );
}

/** Why no conversation can start in a room, on whichever node the other one runs. */
export function roomTakenMessage(room: string): string {
  return `The room ${JSON.stringify(room)} already has a conversation. Choose another room, or stop that conversation first.`;
}

export interface SessionCounts {
  segments: number;
  turns: number;
  /** The language that was heard most, as a BCP 47 tag; null where no recogniser reported one. */
  heard_language: string | null;
}
