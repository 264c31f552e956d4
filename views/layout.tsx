/** @jsxImportSource hono/jsx */
import { raw } from "hono/html";
import type { Child } from "hono/jsx";
import { HTMX_CONFIG, KEEP_CONTENT_ON_ERROR } from "./fragments/htmx.tsx";
import { Logo } from "./fragments/icons.tsx";

/** What every page needs to know about the server. */
export interface Shell {
  /** The URL of a file in `public/`, with the hash of its content. */
  asset: (path: string) => string;
  /** Whether a password is set, so that the page offers to sign out. */
  authEnabled?: boolean;
}

interface LayoutProps {
  shell: Shell;
  title: string;
  current?: "talk" | "history" | "models";
  /** A script that only this page loads, as a path in `public/`. */
  script?: string;
  /** Without navigation, for the sign-in page. */
  bare?: boolean;
  children: Child;
}

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
        <body {...KEEP_CONTENT_ON_ERROR}>
          <a class="button button-primary skip visually-hidden" href="#main">
            Skip to content
          </a>
          <header class="site-head row between">
            <a class="brand row" href="/">
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

const NAV_LINK = "button button-small button-quiet";

function Navigation({ current, signOut }: { current?: string | undefined; signOut: boolean }) {
  const mark = (page: string) => (page === current ? { "aria-current": "page" as const } : {});
  return (
    <nav class="site-nav row tight" aria-label="Main">
      <a class={NAV_LINK} href="/" {...mark("talk")}>
        Talk
      </a>
      <a class={NAV_LINK} href="/history" {...mark("history")}>
        History
      </a>
      <a class={NAV_LINK} href="/models" {...mark("models")}>
        Models
      </a>
      {signOut ? (
        <form method="post" action="/sign-out">
          <button class={NAV_LINK} type="submit">
            Sign out
          </button>
        </form>
      ) : null}
    </nav>
  );
}
