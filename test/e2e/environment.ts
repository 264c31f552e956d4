import { z } from "zod";
import type { Envelope } from "../../src/domain/transcript.ts";
import { type Listener, type Parley, providerEnv, startParley } from "../parley.ts";
import { type StandIn, type StandInOptions, startStandIn } from "../stand-in/openai.ts";
import { within } from "./wait.ts";

/** A running Parley and the provider it uses. */
export interface TestEnvironment extends AsyncDisposable {
  parley: Parley;
  ai: StandIn;
}

/** Starts both; Parley as a process of its own. */
export async function startEnvironment(
  options: StandInOptions & { env?: Record<string, string>; dataDir?: string },
): Promise<TestEnvironment> {
  const { env, dataDir, ...standIn } = options;
  await using opening = new AsyncDisposableStack();
  const ai = opening.use(await startStandIn(standIn));
  const variables = { ...providerEnv(ai.url, standIn.realtime ?? true), ...env };
  const parley = opening.use(
    await startParley({ env: variables, ...(dataDir === undefined ? {} : { dataDir }) }),
  );
  const all = opening.move();
  return { parley, ai, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

const stored = z.object({
  room: z.string(),
  identity: z.string().nullable(),
  end_reason: z.string().nullable(),
  segments: z.array(
    z.object({
      seq: z.number(),
      segment_id: z.string(),
      role: z.enum(["user", "agent"]),
      text: z.string(),
      interrupted: z.boolean(),
    }),
  ),
});
export type StoredTranscript = z.infer<typeof stored>;

/** `GET /transcripts/:id`. */
export function storedTranscript(parley: Parley, sessionId: string): Promise<StoredTranscript> {
  return parley.json(`/transcripts/${sessionId}`, stored);
}

/** Stored lines as `role: text`. */
export function saidIn({ segments }: StoredTranscript): string[] {
  return segments.map(({ role, text }) => `${role}: ${text}`);
}

const live = z.object({ sessions: z.array(z.object({ session_id: z.string() })) });

/** Ids of the live sessions, as `GET /session` lists them. */
export async function liveSessions(parley: Parley): Promise<string[]> {
  const { sessions } = await parley.json("/session", live);
  return sessions.map(({ session_id }) => session_id);
}

/** Waits for an event on the WebSocket; a failure says what came instead. */
export function event(
  listener: Listener,
  what: string,
  found: (event: Envelope) => boolean,
): Promise<Envelope> {
  return within(what, listener.waitFor(found), () => listener.events.map(brief));
}

/** Waits for a final text on the WebSocket. */
export function finalOf(listener: Listener, role: "user" | "agent", text: string) {
  return event(
    listener,
    `the ${role}'s final "${text}"`,
    ({ type, data }) =>
      type === "transcript" && data.role === role && data.final && data.text === text,
  );
}

/** Waits for the end of a session on the WebSocket. */
export function ended(listener: Listener, reason: string) {
  return event(
    listener,
    `the end "${reason}"`,
    ({ type, data }) => type === "session" && data.state === "ended" && data.reason === reason,
  );
}

function brief({ seq, type, data }: Envelope): string {
  return `${seq} ${type} ${JSON.stringify(data)}`;
}
