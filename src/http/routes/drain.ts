import { Hono } from "hono";

export interface DrainDeps {
  conversations: {
    /** Takes no more of them, and ends Parley when those that run have ended. */
    drain(): Promise<void>;
    /** How many run. */
    readonly liveCount: number;
  };
}

/** `POST /drain`: the same as SIGTERM, for programs that cannot send signals. */
export function drainRoutes({ conversations }: DrainDeps): Hono {
  const app = new Hono();
  app.post("/drain", (c) => {
    void conversations.drain();
    c.header("Cache-Control", "no-store");
    return c.json({ draining: true, conversations: conversations.liveCount }, 202);
  });
  return app;
}
