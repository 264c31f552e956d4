/** @jsxImportSource hono/jsx */
import {
  CloseIcon,
  DownIcon,
  MicrophoneIcon,
  MutedIcon,
  SendIcon,
  SpeakerIcon,
  StopIcon,
} from "./fragments/icons.tsx";
import { Bars, needsSetup, Offer, type OfferProps, Welcome } from "./fragments/offer.tsx";
import { type ListedSession, Recent } from "./fragments/sessions.tsx";
import { Setup, type SetupDefaults } from "./fragments/setup.tsx";
import { Layout, type Shell } from "./layout.tsx";

interface ChatPageProps {
  shell: Shell;
  livekitUrl: string;
  /** The suggested room name. */
  room: string;
  defaults: SetupDefaults;
  recent: ListedSession[];
  /** Shown while a stage has no provider. */
  offer: OfferProps;
  now: number;
}

/** The page on which people talk. Its script, `src/client/chat.ts`, finds everything by id. */
export function ChatPage({ shell, livekitUrl, room, defaults, recent, offer, now }: ChatPageProps) {
  return (
    <Layout shell={shell} title="Talk" current="talk" script="/build/chat.js">
      <main id="main">
        <div id="talk" class="talk" data-state="idle">
          <section class="card flush talk-panel" aria-labelledby="talk-title">
            <h1 id="talk-title" class="visually-hidden">
              Talk
            </h1>
            <Presence />
            <Notice />
            <Conversation offer={offer} />
            <Controls />
          </section>
          <div class="talk-side stack loose">
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

/** The agent's state, the connection's, and the elapsed time. */
function Presence() {
  return (
    <header class="card-title row between">
      <div id="agent-state" class="row" data-state="off">
        <Bars />
        <div>
          <p class="label strong">Agent</p>
          <p id="latency" class="small muted">
            Not connected
          </p>
        </div>
      </div>
      <p class="row small muted">
        <span id="status" class="status row" data-state="idle" role="status">
          <span class="dot" aria-hidden="true"></span>
          <span class="label">Ready</span>
        </span>
        <span id="elapsed" class="elapsed" role="timer" aria-label="Elapsed time">
          0:00
        </span>
      </p>
    </header>
  );
}

/** Where the page reports problems of the conversation, one at a time. */
function Notice() {
  return (
    <div id="notice" class="notice row small" role="alert" data-tone="info" hidden>
      <div class="notice-text">
        <p id="notice-title" class="notice-title" dir="auto"></p>
        <p id="notice-detail" dir="auto"></p>
      </div>
      <div class="row">
        <button id="notice-action" class="button button-small" type="button">
          Try again
        </button>
        <a id="notice-sign-in" class="button button-small" href="/sign-in?next=/" hidden>
          Sign in
        </a>
        <button
          id="notice-dismiss"
          class="button button-quiet button-icon"
          type="button"
          aria-label="Dismiss"
        >
          <CloseIcon />
        </button>
      </div>
    </div>
  );
}

function Conversation({ offer }: { offer: OfferProps }) {
  const setup = needsSetup(offer.overview);
  return (
    <div class="conversation">
      <section id="transcript-scroll" class="scroll" tabindex={0} aria-label="Transcript">
        <div id="empty" class="empty">
          {setup ? <Offer {...offer} /> : <Welcome />}
          <noscript>
            <p class="notice row small" data-tone="error">
              Talking requires JavaScript. The history works without it.
            </p>
          </noscript>
        </div>
        <ol id="transcript" class="stack"></ol>
      </section>
      <button id="jump" class="button jump" type="button" hidden>
        <DownIcon /> Jump to latest
      </button>
    </div>
  );
}

/** Start and stop, mute, and a field for typing. */
function Controls() {
  return (
    <footer class="dock stack">
      <div class="controls row">
        <div id="user-state" class="you row small muted" data-state="quiet">
          <span class="level" data-level data-active="false" aria-hidden="true"></span>
          <span class="label">You</span>
        </div>
        <button id="unmute-sound" class="button button-primary" type="button" hidden>
          <SpeakerIcon /> Turn on sound
        </button>
        <button id="mute" class="button" type="button" aria-pressed="false" disabled>
          <MutedIcon /> <span id="mute-label">Mute</span>
        </button>
        {/* The script enables it: earlier, the browser would submit the form by itself. */}
        <button
          id="start"
          class="button button-primary button-main"
          type="submit"
          form="chat-form"
          disabled
        >
          <MicrophoneIcon /> Start
        </button>
        <button id="stop" class="button button-danger button-main" type="button" hidden>
          <StopIcon /> <span id="stop-label">Stop</span>
        </button>
      </div>
      <form id="message-form" class="message-form">
        <label class="visually-hidden" for="message">
          Message
        </label>
        <input
          id="message"
          type="text"
          maxlength={4000}
          autocomplete="off"
          enterkeyhint="send"
          placeholder="Or type a message…"
          dir="auto"
          disabled
        />
        <button
          id="send"
          class="button button-quiet button-icon"
          type="submit"
          aria-label="Send"
          disabled
        >
          <SendIcon />
        </button>
      </form>
    </footer>
  );
}
