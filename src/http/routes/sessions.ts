import { Hono, type MiddlewareHandler } from "hono";
import { z } from "zod";
import type { OtherNodes } from "../../domain/other-nodes.ts";
import { newestFirst, type Session, type SessionRequest, typedText } from "../../domain/session.ts";
import type { SessionStore } from "../../domain/stores.ts";
import { jsonBody, parse } from "../request.ts";
import {
  findSession,
  isSessionId,
  sessionJson,
  sessionRequest,
  unknownSession,
} from "../session-resource.ts";

/** What these routes need of the session manager. */
export interface SessionDeps {
  sessions: SessionStore;
  others: OtherNodes;
  manager: {
    start(request: SessionRequest, caller: AbortSignal): Promise<Session>;
    stop(sessionId: string): Promise<void>;
    say(sessionId: string, text: string): Promise<void>;
  };
}

const message = z.object({ text: typedText });

/** `/session`: starts, shows, talks to and stops conversations. */
export function sessionRoutes(deps: SessionDeps): Hono {
  const { sessions, others, manager } = deps;
  const isOwn = (id: string) => isSessionId(id) && sessions.find(id) !== undefined;
  const app = new Hono();
  app.use("/session/*", noStore);
  app.post("/session", async (c) => {
    const { signal } = c.req.raw;
    const session = await manager.start(parse(sessionRequest, await jsonBody(c)), signal);
    c.header("Location", `/session/${session.id}`);
    return c.json({ session_id: session.id }, 201);
  });
  app.get("/session", async (c) => {
    const live = newestFirst([...sessions.live(), ...(await others.live())]);
    return c.json({ sessions: live.map(sessionJson) });
  });
  app.get("/session/:id", async (c) => {
    return c.json(sessionJson(await findSession(deps, c.req.param("id"))));
  });
  app.delete("/session/:id", async (c) => {
    const id = c.req.param("id");
    if (isOwn(id)) await manager.stop(id);
    else if (!isSessionId(id) || !(await others.stop(id))) throw unknownSession();
    return c.json({ stopped: true });
  });
  app.post("/session/:id/message", async (c) => {
    const id = c.req.param("id");
    if (!isSessionId(id)) throw unknownSession();
    const text = async () => parse(message, await jsonBody(c)).text.trim();
    if (isOwn(id)) await manager.say(id, await text());
    else if (!(await others.say(id, await text()))) throw unknownSession();
    return c.json({ accepted: true }, 202);
  });
  return app;
}

const noStore: MiddlewareHandler = async (c, next) => {
  await next();
  c.header("Cache-Control", "no-store");
};
