import { raw } from "hono/html";
import type { Child } from "hono/jsx";
import { Logo } from "./fragments/icons.tsx";

/** What every page needs from the server around it. */
export interface Shell {
  /** The address of a file of `public/`, with the hash of its content. */
  asset: (path: string) => string;
  /** Whether there is a password, and so a way to sign out. */
  authEnabled?: boolean;
}

interface LayoutProps {
  shell: Shell;
  title: string;
  current?: "talk" | "history" | "models";
  /** A script of this page alone, as a path in `public/`. */
  script?: string;
  /** Pages without navigation: signing in comes first. */
  bare?: boolean;
  children: Child;
}

/**
 * htmx's own settings: its indicator styles are in our stylesheet, history stays the browser's, and
 * its evaluation of script in attributes is never used (the page's policy forbids it).
 */
const HTMX_CONFIG = JSON.stringify({ includeIndicatorCSS: false, history: false });

/** A refused request must not put its error in place of what it was to refresh. */
const KEEP_ON_ERROR = {
  "hx-status:4xx:inherited": "swap:none",
  "hx-status:5xx:inherited": "swap:none",
};

/** The HTML document around every page. */
export function Layout(props: LayoutProps) {
  const { shell, title, current, script, bare = false, children } = props;
  return (
    <>
      {raw("<!DOCTYPE html>")}
      <html lang="en">
        <head>
          <meta charset="utf-8" />
          <meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover" />
          <meta name="color-scheme" content="light dark" />
          <meta name="theme-color" content="#f4f2ee" media="(prefers-color-scheme: light)" />
          <meta name="theme-color" content="#141614" media="(prefers-color-scheme: dark)" />
          <meta name="htmx-config" content={HTMX_CONFIG} />
          <title>{`${title} · Parley`}</title>
          <link rel="icon" href={shell.asset("/favicon.svg")} type="image/svg+xml" />
          <link rel="stylesheet" href={shell.asset("/parley.css")} />
          <script src={shell.asset("/build/htmx.min.js")} defer></script>
          {script === undefined ? null : <script type="module" src={shell.asset(script)}></script>}
        </head>
        <body {...KEEP_ON_ERROR}>
          <a class="skip" href="#main">
            Skip to content
          </a>
          <header class="site-head">
            <a class="brand" href="/">
              <Logo />
              <span>Parley</span>
            </a>
            {bare ? null : <Navigation current={current} signOut={shell.authEnabled === true} />}
          </header>
          {children}
        </body>
      </html>
    </>
  );
}

function Navigation({ current, signOut }: { current?: string | undefined; signOut: boolean }) {
  const mark = (page: string) => (page === current ? { "aria-current": "page" as const } : {});
  return (
    <nav class="site-nav" aria-label="Main">
      <a href="/" {...mark("talk")}>
        Talk
      </a>
      <a href="/history" {...mark("history")}>
        History
      </a>
      <a href="/models" {...mark("models")}>
        Models
      </a>
      {signOut ? (
        <form method="post" action="/sign-out">
          <button type="submit">Sign out</button>
        </form>
      ) : null}
    </nav>
  );
}
