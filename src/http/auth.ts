import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Context, MiddlewareHandler } from "hono";
import { deleteCookie, getSignedCookie, setSignedCookie } from "hono/cookie";
import { codeOf, Failure } from "../errors.ts";
import { isHtmx, wantsPage } from "./request.ts";

const COOKIE = "parley";
const SIGNED_IN_SECONDS = 30 * 24 * 3600;
/** Paths that need no sign-in: health checks, the sign-in page and its files. */
const OPEN_PATHS = /^\/(?:health|ready|sign-in|favicon\.ico|assets\/.*)$/;

/** Wrong passwords allowed in a window, over all callers; nobody types faster. */
const ATTEMPTS = 10;
/** The same for bearer tokens, which programs send with each of many requests. */
const BEARER_ATTEMPTS = 100;
const ATTEMPT_WINDOW_MS = 60_000;

/** Decides who may use Parley. */
export interface Auth {
  readonly enabled: boolean;
  /** Refuses requests that need a sign-in: pages lead to the sign-in page, the API gets a 401. */
  guard: MiddlewareHandler;
  /**
   * Signs the browser in if the password is right.
   * @throws Failure `unauthorized`, or `limit` after too many wrong ones
   */
  signIn(c: Context, password: string): Promise<void>;
  signOut(c: Context): void;
}

/** Lets everyone in: Parley listens on loopback only, or a proxy in front of it decides. */
export function openAuth(): Auth {
  return {
    enabled: false,
    guard: (_c, next) => next(),
    signIn: async () => {},
    signOut: () => {},
  };
}

/**
 * One password for everyone, as a signed cookie for browsers or a bearer token for programs.
 *
 * @param key signs the cookies; a new password invalidates them
 */
export function passwordAuth(password: string, key: Buffer, now: () => number = Date.now): Auth {
  const signingKey = new Bun.CryptoHasher("sha256", key).update(password).digest("hex");
  const guard = (attempts: number) =>
    limitGuesses((candidate) => sameText(key, candidate, password), attempts, now);
  const [typed, sent] = [guard(ATTEMPTS), guard(BEARER_ATTEMPTS)];

  const signedIn = async (c: Context): Promise<boolean> => {
    const bearer = /^Bearer (.+)$/i.exec(c.req.header("Authorization") ?? "")?.[1];
    if (bearer !== undefined) return sent(bearer);
    const since = await getSignedCookie(c, signingKey, COOKIE);
    return typeof since === "string" && now() - Number(since) < SIGNED_IN_SECONDS * 1000;
  };
  return {
    enabled: true,
    guard: async (c, next) => {
      if (OPEN_PATHS.test(c.req.path) || (await signedIn(c))) return next();
      return refuse(c);
    },
    signIn: async (c, candidate) => {
      if (!typed(candidate)) throw new Failure("unauthorized", "Wrong password.");
      await setSignedCookie(c, COOKIE, String(now()), signingKey, {
        httpOnly: true,
        sameSite: "Lax",
        secure: isSecure(c),
        path: "/",
        maxAge: SIGNED_IN_SECONDS,
      });
    },
    signOut: (c) => {
      deleteCookie(c, COOKIE, { path: "/" });
    },
  };
}

/** Wraps a check so that it throws a `limit` after too many wrong guesses within the window. */
function limitGuesses(matches: (guess: string) => boolean, attempts: number, now: () => number) {
  let wrong: number[] = [];
  return (guess: string): boolean => {
    wrong = wrong.filter((at) => now() - at < ATTEMPT_WINDOW_MS);
    if (wrong.length >= attempts) {
      throw new Failure("limit", "Too many wrong passwords. Wait a minute, then try again.", {
        retryAfter: ATTEMPT_WINDOW_MS / 1000,
      });
    }
    const right = matches(guess);
    if (!right) wrong.push(now());
    return right;
  };
}

/** The key that signs cookies, created at the first start in a file that only its owner can read. */
export function loadCookieKey(path: string): Buffer {
  try {
    const key = readFileSync(path);
    if (key.length === 32) return key;
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
  }
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const key = Buffer.from(crypto.getRandomValues(new Uint8Array(32)));
  // An existing file would keep its mode.
  rmSync(path, { force: true });
  writeFileSync(path, key, { mode: 0o600 });
  return key;
}

function refuse(c: Context): Response {
  const next = encodeURIComponent(c.req.path);
  if (isHtmx(c)) {
    return c.body(null, 401, { "HX-Redirect": `/sign-in?next=${next}` });
  }
  if (wantsPage(c)) {
    return c.redirect(`/sign-in?next=${next}`, 303);
  }
  c.header("WWW-Authenticate", 'Bearer realm="Parley"');
  throw new Failure("unauthorized", "Sign in, or send the password as a bearer token.");
}

/** Compares digests, so that the time taken reveals neither the length nor the first difference. */
function sameText(key: Buffer, left: string, right: string): boolean {
  const digest = (text: string) => new Bun.CryptoHasher("sha256", key).update(text).digest();
  return crypto.timingSafeEqual(digest(left), digest(right));
}

function isSecure(c: Context): boolean {
  return c.req.url.startsWith("https:") || c.req.header("X-Forwarded-Proto") === "https";
}
