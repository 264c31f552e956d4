import { type Context, Hono, type MiddlewareHandler } from "hono";
import { z } from "zod";
import { type Session, type SessionRequest, typedText } from "../../domain/session.ts";
import type { SessionStore } from "../../domain/stores.ts";
import { jsonBody, parse } from "../request.ts";
import { findSession, sessionJson, sessionRequest } from "../session-resource.ts";

/** What these routes need of the session manager. */
export interface SessionDeps {
  sessions: SessionStore;
  manager: {
    start(request: SessionRequest, caller: AbortSignal): Promise<Session>;
    stop(sessionId: string): Promise<void>;
    say(sessionId: string, text: string): Promise<void>;
  };
}

const message = z.object({ text: typedText });

/** `/session`: starts, shows, talks to and stops conversations. */
export function sessionRoutes({ sessions, manager }: SessionDeps): Hono {
  const app = new Hono();
  app.use("/session/*", noStore);
  app.post("/session", async (c) => {
    const { signal } = c.req.raw;
    keepOpen(c);
    const session = await manager.start(parse(sessionRequest, await jsonBody(c)), signal);
    c.header("Location", `/session/${session.id}`);
    return c.json({ session_id: session.id }, 201);
  });
  app.get("/session", (c) => c.json({ sessions: sessions.live().map(sessionJson) }));
  app.get("/session/:id", (c) => c.json(sessionJson(findSession(sessions, c.req.param("id")))));
  app.delete("/session/:id", async (c) => {
    await manager.stop(findSession(sessions, c.req.param("id")).id);
    return c.json({ stopped: true });
  });
  app.post("/session/:id/message", async (c) => {
    const { id } = findSession(sessions, c.req.param("id"));
    const { text } = parse(message, await jsonBody(c));
    await manager.say(id, text.trim());
    return c.json({ accepted: true }, 202);
  });
  return app;
}

/** A start may take longer than Bun leaves a connection open on which nothing is sent. */
function keepOpen(c: Context): void {
  const server: unknown = c.env;
  if (typeof server !== "object" || server === null || !("timeout" in server)) return;
  (server as Bun.Server<unknown>).timeout(c.req.raw, 0);
}

const noStore: MiddlewareHandler = async (c, next) => {
  await next();
  c.header("Cache-Control", "no-store");
};
