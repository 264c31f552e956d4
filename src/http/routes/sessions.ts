import { Hono, type MiddlewareHandler } from "hono";
import { z } from "zod";
import {
  freeText,
  type Session,
  type SessionCounts,
  type SessionRequest,
  type SessionStore,
  sessionId,
  sessionRequest,
} from "../../domain/session.ts";
import { Failure } from "../../errors.ts";
import { jsonBody, parse } from "../validation.ts";

/** What these routes need of the agent's manager. */
export interface SessionDeps {
  sessions: SessionStore;
  agents: {
    start(request: SessionRequest): Promise<Session>;
    stop(sessionId: string): Promise<void>;
    say(sessionId: string, text: string): Promise<void>;
  };
}

const message = z.object({
  text: freeText("text", 4000).refine((value) => value.trim() !== "", "text is empty"),
});

/** `/session`: start, look at, talk to and stop conversations. */
export function sessions({ sessions: store, agents }: SessionDeps): Hono {
  const app = new Hono();
  app.use("/session/*", noStore);
  app.post("/session", async (c) => {
    const session = await agents.start(parse(sessionRequest, await jsonBody(c)));
    c.header("Location", `/session/${session.id}`);
    return c.json({ session_id: session.id }, 201);
  });
  app.get("/session", (c) => c.json({ sessions: store.live().map(view) }));
  app.get("/session/:id", (c) => c.json(view(findSession(store, c.req.param("id")))));
  app.delete("/session/:id", async (c) => {
    await agents.stop(findSession(store, c.req.param("id")).id);
    return c.json({ stopped: true });
  });
  app.post("/session/:id/message", async (c) => {
    const { id } = findSession(store, c.req.param("id"));
    const { text } = parse(message, await jsonBody(c));
    await agents.say(id, text.trim());
    return c.json({ accepted: true }, 202);
  });
  return app;
}

const noStore: MiddlewareHandler = async (c, next) => {
  await next();
  c.header("Cache-Control", "no-store");
};

/** @throws Failure `not_found`, also for what is no session id at all */
export function findSession(store: SessionStore, id: string): Session & SessionCounts {
  const session = sessionId.safeParse(id).success ? store.find(id) : undefined;
  if (!session) throw new Failure("not_found", "There is no such conversation.");
  return session;
}

/** ISO 8601 in UTC, as the API writes times. */
export function isoTime(ms: number): string;
export function isoTime(ms: number | null): string | null;
export function isoTime(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}

function view(session: Session & SessionCounts) {
  const { system_prompt, greeting, voice, language, stt_model, llm_model, tts_model } = session;
  return {
    session_id: session.id,
    room: session.room,
    identity: session.identity,
    name: session.name,
    state: session.state,
    started_at: isoTime(session.started_at),
    ended_at: isoTime(session.ended_at),
    end_reason: session.end_reason,
    settings: { system_prompt, greeting, voice, language, stt_model, llm_model, tts_model },
    counts: { segments: session.segments, turns: session.turns },
  };
}
