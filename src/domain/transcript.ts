import { z } from "zod";
import type { EndReason, SessionState } from "./session.ts";
import { STAGES, type Stage } from "./stage.ts";

export type Role = "user" | "agent";
export type AgentState = "initializing" | "listening" | "thinking" | "speaking";
/** What an error is about. */
export type ErrorSource = Stage | "livekit";

/** Latency parts and token counts of one turn; ms, `null` where a part was not measured. */
export interface TurnMetrics {
  turn_id: string;
  /** End of the user's speech to the decision that the turn is over. */
  endpointing_ms: number | null;
  /** End of the user's speech to its final transcript. */
  stt_ms: number | null;
  llm_ttft_ms: number | null;
  tts_ttfb_ms: number | null;
  /** End of the user's speech to the agent's first audio frame, measured, not summed. */
  voice_to_voice_ms: number | null;
  prompt_tokens: number | null;
  completion_tokens: number | null;
}

/** What happens in a session, as the agent reports it and clients receive it. */
export type SessionEvent =
  | { type: "session"; data: { state: SessionState; reason?: EndReason } }
  | { type: "agent_state"; data: { state: AgentState } }
  | {
      type: "speech";
      data: { role: Role; identity: string; state: "started" | "stopped" };
    }
  | { type: "transcript"; data: TranscriptData }
  | { type: "metrics"; data: TurnMetrics }
  | { type: "notice"; data: Notice }
  | {
      type: "error";
      data: {
        code: string;
        message: string;
        stage?: ErrorSource;
        recoverable: boolean;
        /** The same failure as in the turn before: no news to a person. */
        repeated?: boolean;
      };
    };

/** Something that a person should know although nothing failed, such as a model that still loads. */
export interface Notice {
  /** For programs; stable. */
  code: string;
  /** For people. */
  message: string;
  stage?: ErrorSource;
  /** Whether it only explains a wait, and stops being true when the agent speaks. */
  transient: boolean;
}

export interface TranscriptData {
  segment_id: string;
  role: Role;
  identity: string;
  /** The whole text of the segment so far. */
  text: string;
  final: boolean;
  interrupted?: boolean;
  /** Of a final of the person: the language that the recogniser has heard, as a BCP 47 tag. */
  language?: string;
  /** When the segment began, ms since the epoch. */
  started_at: number;
}

/** One message of `/ws/transcript/:session_id`. `seq` counts up from 1 without gaps. */
export type Envelope = SessionEvent & {
  seq: number;
  session_id: string;
  /** ISO 8601, UTC, with milliseconds. */
  at: string;
};

/** The last event of a session. */
export interface SessionEnd {
  type: "session";
  data: { state: "ended"; reason?: EndReason };
}

/** Whether the event is its session's last. */
export function isSessionEnd(event: SessionEvent): event is SessionEnd {
  return event.type === "session" && event.data.state === "ended";
}

/** Whether it is what was said, or what became of the session; the rest only accompanies that. */
export function isEssential(event: SessionEvent): boolean {
  return event.type === "session" || (event.type === "transcript" && event.data.final);
}

/**
 * The events that end a session: segments without a final become final with what was heard so far,
 * and speech that still goes on stops.
 *
 * @param open what is open, in the order in which it is closed; other events are left out
 */
export function closingEvents(open: readonly SessionEvent[], reason: EndReason): SessionEvent[] {
  const closing = open.flatMap((event): SessionEvent[] => {
    if (event.type === "transcript" && !event.data.final) {
      return [{ type: "transcript", data: { ...event.data, final: true, interrupted: true } }];
    }
    if (event.type !== "speech") return [];
    return [{ type: "speech", data: { ...event.data, state: "stopped" } }];
  });
  return [...closing, { type: "session", data: { state: "ended", reason } }];
}

const role = z.enum(["user", "agent"]);
const milliseconds = z.number().nullable();

const sessionEvent = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("session"),
    data: z.object({
      state: z.enum(["starting", "active", "ending", "ended"]),
      reason: z.custom<EndReason>((value) => typeof value === "string").optional(),
    }),
  }),
  z.object({
    type: z.literal("agent_state"),
    data: z.object({ state: z.enum(["initializing", "listening", "thinking", "speaking"]) }),
  }),
  z.object({
    type: z.literal("speech"),
    data: z.object({ role, identity: z.string(), state: z.enum(["started", "stopped"]) }),
  }),
  z.object({
    type: z.literal("transcript"),
    data: z.object({
      segment_id: z.string(),
      role,
      identity: z.string(),
      text: z.string(),
      final: z.boolean(),
      interrupted: z.boolean().optional(),
      language: z.string().optional(),
      started_at: z.number(),
    }),
  }),
  z.object({
    type: z.literal("metrics"),
    data: z.object({
      turn_id: z.string(),
      endpointing_ms: milliseconds,
      stt_ms: milliseconds,
      llm_ttft_ms: milliseconds,
      tts_ttfb_ms: milliseconds,
      voice_to_voice_ms: milliseconds,
      prompt_tokens: milliseconds,
      completion_tokens: milliseconds,
    }),
  }),
  z.object({
    type: z.literal("notice"),
    data: z.object({
      code: z.string(),
      message: z.string(),
      stage: z.enum([...STAGES, "livekit"]).optional(),
      transient: z.boolean(),
    }),
  }),
  z.object({
    type: z.literal("error"),
    data: z.object({
      code: z.string(),
      message: z.string(),
      stage: z.enum([...STAGES, "livekit"]).optional(),
      recoverable: z.boolean(),
      repeated: z.boolean().optional(),
    }),
  }),
]);

/** Reads an envelope that crossed a process boundary (Redis, SQLite, WebSocket). */
export const envelope = z.intersection(
  sessionEvent,
  z.object({ seq: z.int().positive(), session_id: z.string(), at: z.string() }),
);

/** A final segment as stored and as `/transcripts/:session_id` lists it. */
export interface Segment {
  seq: number;
  segment_id: string;
  role: Role;
  identity: string;
  text: string;
  started_at: number;
  ended_at: number;
  interrupted: boolean;
  /** The language that the recogniser has heard, as a BCP 47 tag; null where it is not known. */
  language: string | null;
}
