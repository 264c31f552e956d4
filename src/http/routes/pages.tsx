/** @jsxImportSource hono/jsx */
import { type Context, Hono } from "hono";
import { ChatPage } from "../../../views/chat.tsx";
import type { OfferProps } from "../../../views/fragments/offer.tsx";
import { Recent, SessionRow, SessionRows } from "../../../views/fragments/sessions.tsx";
import type { SetupDefaults } from "../../../views/fragments/setup.tsx";
import { HistoryPage } from "../../../views/history.tsx";
import type { Shell } from "../../../views/layout.tsx";
import { TranscriptLines, TranscriptPage } from "../../../views/transcript.tsx";
import type { OtherNodes } from "../../domain/other-nodes.ts";
import { newestFirst, type Session, type SessionCounts } from "../../domain/session.ts";
import type { SessionStore, TranscriptStore } from "../../domain/stores.ts";
import { Failure } from "../../errors.ts";
import { isHtmx, readerLanguage } from "../request.ts";
import { findSession, findTranscript } from "../session-resource.ts";

export interface PageDeps {
  sessions: SessionStore;
  transcripts: TranscriptStore;
  others: OtherNodes;
  shell: Shell;
  /** Where browsers reach LiveKit now. */
  livekitUrl(): string;
  /** The initial values of the setup form; read again for each page. */
  defaults(): Promise<SetupDefaults>;
  /** What the first page offers while a stage has no provider. */
  offer(language: string | undefined): Promise<OfferProps>;
  now(): number;
  /** Prepares for a conversation, which a visit to the first page announces. */
  warmUp(): void;
}

const PAGE_SIZE = 25;
const RECENT = 5;
/** Without letters and digits that look alike. */
const ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789";

/** The pages to talk and to read the history, and the fragments that HTMX asks for. */
export function pageRoutes(deps: PageDeps): Hono {
  const { sessions, others, shell, now } = deps;
  const app = new Hono();

  app.get("/", async (c) => {
    deps.warmUp();
    return page(
      c,
      <ChatPage
        shell={shell}
        livekitUrl={deps.livekitUrl()}
        room={newRoom()}
        defaults={await deps.defaults()}
        recent={await recent(c, deps)}
        offer={await deps.offer(readerLanguage(c))}
        now={now()}
      />,
    );
  });

  app.get("/history", async (c) => {
    const before = c.req.query("before") || undefined;
    const found = sessions.page({ limit: PAGE_SIZE, ...(before === undefined ? {} : { before }) });
    if (before === undefined) {
      found.sessions = newestFirst([...found.sessions, ...(await liveElsewhere(c, others))]);
    }
    if (isHtmx(c)) return page(c, <SessionRows page={found} now={now()} />);
    const older = before !== undefined;
    return page(c, <HistoryPage shell={shell} page={found} older={older} now={now()} />);
  });

  app.get("/history/recent", async (c) =>
    page(c, <Recent sessions={await recent(c, deps)} now={now()} />),
  );

  app.get("/history/:session_id", async (c) => {
    const { session, segments } = await findTranscript(deps, c.req.param("session_id"));
    return page(
      c,
      <TranscriptPage shell={shell} session={session} segments={segments} now={now()} />,
    );
  });

  app.get("/history/:session_id/row", async (c) => {
    const session = await findSession(deps, c.req.param("session_id"));
    return page(c, <SessionRow session={session} now={now()} />);
  });

  app.get("/history/:session_id/lines", async (c) => {
    const { session, segments } = await findTranscript(deps, c.req.param("session_id"));
    return page(c, <TranscriptLines session={session} segments={segments} />);
  });
  return app;
}

async function recent(
  c: Context,
  { sessions, others }: PageDeps,
): Promise<(Session & SessionCounts)[]> {
  const own = sessions.page({ limit: RECENT }).sessions;
  return newestFirst([...own, ...(await liveElsewhere(c, others))]).slice(0, RECENT);
}

/** A page shows what this node has, also while another one does not answer, which is logged there. */
async function liveElsewhere(c: Context, others: OtherNodes): Promise<(Session & SessionCounts)[]> {
  try {
    return await others.live();
  } catch (error) {
    if (!(error instanceof Failure)) c.var.reportError(error);
    return [];
  }
}

/** A page that is never cached: it shows the present, and only to people who are signed in. */
function page(c: Context, html: ReturnType<typeof ChatPage>): Response | Promise<Response> {
  c.header("Cache-Control", "no-store");
  c.header("Vary", "HX-Request");
  return c.html(html);
}

/** A friendly room name such as `room-k3f9`. */
function newRoom(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(4));
  return `room-${Array.from(bytes, (byte) => ALPHABET.charAt(byte % ALPHABET.length)).join("")}`;
}
