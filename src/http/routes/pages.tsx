import { type Context, Hono } from "hono";
import { ChatPage } from "../../../views/chat.tsx";
import { Recent } from "../../../views/fragments/recent.tsx";
import { SessionRow, SessionRows } from "../../../views/fragments/session-row.tsx";
import type { SetupDefaults } from "../../../views/fragments/setup.tsx";
import { TranscriptLines } from "../../../views/fragments/transcript-lines.tsx";
import { HistoryPage } from "../../../views/history.tsx";
import { TranscriptPage } from "../../../views/transcript.tsx";
import type { SessionStore } from "../../domain/session.ts";
import type { TranscriptStore } from "../../domain/transcript.ts";
import { offerOf, type ProviderDeps } from "./providers.tsx";
import { findSession } from "./sessions.ts";

/** What the pages need of the rest of Parley. */
export interface PageDeps extends ProviderDeps {
  sessions: SessionStore;
  transcripts: TranscriptStore;
  /** `/parley.css` to `/assets/parley.css?v=HASH`. */
  asset: (path: string) => string;
  /** Where browsers reach LiveKit; read anew for each page. */
  livekitUrl: string;
  /** What the setup form begins with; read anew for each page. */
  defaults(): SetupDefaults;
  authEnabled: boolean;
  now: () => number;
  /** Told when somebody comes who may start a conversation. */
  expectConversation: () => void;
}

const PAGE_SIZE = 25;
const RECENT = 5;
/** Without letters and digits that are taken for one another. */
const ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789";

/** The pages for people, and the fragments of them that HTMX asks for. */
export function pages(deps: PageDeps): Hono {
  const { sessions, transcripts, now } = deps;
  const app = new Hono();

  app.get("/", async (c) => {
    deps.expectConversation();
    return page(
      c,
      <ChatPage
        shell={deps}
        livekitUrl={deps.livekitUrl}
        room={newRoom()}
        defaults={deps.defaults()}
        recent={sessions.page({ limit: RECENT }).sessions}
        offer={await offerOf(deps)}
        now={now()}
      />,
    );
  });

  app.get("/history", (c) => {
    const before = c.req.query("before") || undefined;
    const found = sessions.page({ limit: PAGE_SIZE, ...(before === undefined ? {} : { before }) });
    if (isHtmx(c)) return page(c, <SessionRows page={found} now={now()} />);
    const older = before !== undefined;
    return page(c, <HistoryPage shell={deps} page={found} older={older} now={now()} />);
  });

  app.get("/history/recent", (c) =>
    page(c, <Recent sessions={sessions.page({ limit: RECENT }).sessions} now={now()} />),
  );

  app.get("/history/:session_id", (c) => {
    const session = findSession(sessions, c.req.param("session_id"));
    const segments = transcripts.segments(session.id);
    return page(
      c,
      <TranscriptPage shell={deps} session={session} segments={segments} now={now()} />,
    );
  });

  app.get("/history/:session_id/row", (c) => {
    const session = findSession(sessions, c.req.param("session_id"));
    return page(c, <SessionRow session={session} now={now()} />);
  });

  app.get("/history/:session_id/lines", (c) => {
    const session = findSession(sessions, c.req.param("session_id"));
    const segments = transcripts.segments(session.id);
    return page(c, <TranscriptLines session={session} segments={segments} />);
  });
  return app;
}

/** HTML that is never kept: it shows what is now, and to those only who are signed in now. */
function page(c: Context, html: ReturnType<typeof ChatPage>): Response | Promise<Response> {
  c.header("Cache-Control", "no-store");
  c.header("Vary", "HX-Request");
  return c.html(html);
}

function isHtmx(c: Context): boolean {
  return c.req.header("HX-Request") === "true";
}

/** A friendly room name such as `room-k3f9`. */
function newRoom(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(4));
  return `room-${Array.from(bytes, (byte) => ALPHABET.charAt(byte % ALPHABET.length)).join("")}`;
}
