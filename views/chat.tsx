import type { Session, SessionCounts } from "../src/domain/session.ts";
import { Dock, Notice, Presence } from "./fragments/chat-stage.tsx";
import { DownIcon } from "./fragments/icons.tsx";
import { Hello, needsSetup, Offer, type OfferProps } from "./fragments/offer.tsx";
import { Recent } from "./fragments/recent.tsx";
import { Setup, type SetupDefaults } from "./fragments/setup.tsx";
import { Layout, type Shell } from "./layout.tsx";

interface ChatPageProps {
  shell: Shell;
  livekitUrl: string;
  /** A room name to begin with. */
  room: string;
  defaults: SetupDefaults;
  recent: (Session & SessionCounts)[];
  /** Shown while nobody serves a stage. */
  offer: OfferProps;
  now: number;
}

/** The page on which one talks. Its script, `src/client/chat.ts`, finds everything by id. */
export function ChatPage({ shell, livekitUrl, room, defaults, recent, offer, now }: ChatPageProps) {
  return (
    <Layout shell={shell} title="Talk" current="talk" script="/build/chat.js">
      <main id="main" class="talk-main">
        <div id="talk" class="talk" data-state="idle">
          <section class="card stage" aria-labelledby="talk-title">
            <h1 id="talk-title" class="visually-hidden">
              Talk
            </h1>
            <Presence />
            <Notice />
            <Conversation offer={offer} />
            <Dock />
          </section>
          <div class="side">
            <Setup livekitUrl={livekitUrl} room={room} defaults={defaults} />
            <Recent sessions={recent} now={now} />
          </div>
        </div>
        <div id="audio" hidden></div>
        <div id="announcer" class="visually-hidden" aria-live="polite"></div>
      </main>
    </Layout>
  );
}

function Conversation({ offer }: { offer: OfferProps }) {
  const asks = needsSetup(offer.overview);
  return (
    <div class="conversation">
      <section id="transcript-scroll" class="scroll" tabindex={0} aria-label="Transcript">
        <div id="empty" class={asks ? "empty empty-wide" : "empty"}>
          {asks ? <Offer {...offer} /> : <Hello />}
          <noscript>
            <p class="notice notice-error">
              Talking needs JavaScript. The history works without it.
            </p>
          </noscript>
        </div>
        <ol id="transcript" class="lines"></ol>
      </section>
      <button id="jump" class="button jump" type="button" hidden>
        <DownIcon /> Jump to latest
      </button>
    </div>
  );
}
