import { Hono } from "hono";
import { SignInPage } from "../../../views/sign-in.tsx";
import { Failure } from "../../errors.ts";
import type { Auth } from "../auth.ts";

/** The sign-in form. It exists only where a password is set. */
export function signIn(auth: Auth, asset: (path: string) => string): Hono {
  const app = new Hono();
  if (!auth.enabled) return app;
  app.get("/sign-in", (c) =>
    c.html(<SignInPage asset={asset} next={localPath(c.req.query("next"))} />),
  );
  app.post("/sign-in", async (c) => {
    const form = await c.req.parseBody();
    const next = localPath(form["next"]);
    try {
      await auth.signIn(c, typeof form["password"] === "string" ? form["password"] : "");
      return c.redirect(next, 303);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      const status = error.kind === "limit" ? 429 : 401;
      return c.html(<SignInPage asset={asset} next={next} error={error.message} />, status);
    }
  });
  app.post("/sign-out", (c) => {
    auth.signOut(c);
    return c.redirect("/sign-in", 303);
  });
  return app;
}

/** Any origin: only whether `next` stays in it counts. */
const OWN = "http://parley.invalid";

/**
 * Only a path of our own: an address in `next` could lead a person who just signed in away. Read
 * as a browser reads it, which drops tabs and takes a backslash for a slash.
 */
function localPath(next: unknown): string {
  const url = typeof next === "string" ? URL.parse(next, OWN) : null;
  if (url?.origin !== OWN || url.pathname.startsWith("//")) return "/";
  return url.pathname + url.search;
}
