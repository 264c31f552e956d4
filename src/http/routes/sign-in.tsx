/** @jsxImportSource hono/jsx */
import { Hono } from "hono";
import { SignInPage } from "../../../views/sign-in.tsx";
import { Failure } from "../../errors.ts";
import type { Auth } from "../auth.ts";
import { formBody } from "../request.ts";

/** The sign-in form. It exists only where a password is set. */
export function signInRoutes(auth: Auth, asset: (path: string) => string): Hono {
  const app = new Hono();
  if (!auth.enabled) return app;
  app.get("/sign-in", (c) =>
    c.html(<SignInPage asset={asset} next={localPath(c.req.query("next"))} />),
  );
  app.post("/sign-in", async (c) => {
    const form = await formBody(c);
    const next = localPath(form["next"]);
    try {
      await auth.signIn(c, typeof form["password"] === "string" ? form["password"] : "");
      return c.redirect(next, 303);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      if (error.retryAfter !== undefined) c.header("Retry-After", String(error.retryAfter));
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

/** A placeholder origin: `next` must stay within it. */
const OWN_ORIGIN = "http://parley.invalid";

/**
 * Reduces `next` to a path of Parley's own, because a foreign address could lead a person who just
 * signed in elsewhere. It is parsed as a browser does, which drops tabs and reads `\` as a slash.
 */
function localPath(next: unknown): string {
  const url = typeof next === "string" ? URL.parse(next, OWN_ORIGIN) : null;
  if (url?.origin !== OWN_ORIGIN || url.pathname.startsWith("//")) return "/";
  return url.pathname + url.search;
}
