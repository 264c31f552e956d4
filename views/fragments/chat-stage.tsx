import { CloseIcon, MicrophoneIcon, MutedIcon, SendIcon, SpeakerIcon, StopIcon } from "./icons.tsx";

/** Who is there: the agent's state, the connection's, and for how long. */
export function Presence() {
  return (
    <header class="presence">
      <div id="agent-state" class="agent" data-state="off">
        <span class="agent-figure" aria-hidden="true">
          <i></i>
          <i></i>
          <i></i>
          <i></i>
          <i></i>
        </span>
        <span class="label">Agent</span>
        <span id="latency" class="latency">
          Not connected
        </span>
      </div>
      <p class="presence-facts">
        <span id="status" class="status" data-state="idle" role="status">
          <span class="status-dot" aria-hidden="true"></span>
          <span class="label">Ready</span>
        </span>
        <span id="elapsed" class="elapsed" role="timer" aria-label="Elapsed time">
          0:00
        </span>
      </p>
    </header>
  );
}

/** The one place where problems are told. */
export function Notice() {
  return (
    <div id="notice" class="notice" role="alert" data-tone="info" hidden>
      <div class="notice-text">
        <p id="notice-title" class="notice-title" dir="auto"></p>
        <p id="notice-detail" dir="auto"></p>
      </div>
      <div class="notice-actions">
        <button id="notice-action" class="button button-small" type="button">
          Try again
        </button>
        <a id="notice-sign-in" class="button button-small" href="/sign-in?next=/" hidden>
          Sign in
        </a>
        <button id="notice-dismiss" class="button-icon" type="button" aria-label="Dismiss">
          <CloseIcon />
        </button>
      </div>
    </div>
  );
}

/** What a person does: start and stop, mute, type. */
export function Dock() {
  return (
    <footer class="dock">
      <div class="controls">
        <div id="user-state" class="you" data-state="quiet">
          <span class="level" data-level data-active="false" aria-hidden="true"></span>
          <span class="label">You</span>
        </div>
        <button id="unmute-sound" class="button button-sound" type="button" hidden>
          <SpeakerIcon /> Turn on sound
        </button>
        <button id="mute" class="button" type="button" aria-pressed="false" disabled>
          <MutedIcon /> <span id="mute-label">Mute</span>
        </button>
        <button id="start" class="button button-primary button-main" type="submit" form="chat-form">
          <MicrophoneIcon /> Start
        </button>
        <button id="stop" class="button button-stop button-main" type="button" hidden>
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
          placeholder="Or type something…"
          dir="auto"
          disabled
        />
        <button id="send" class="button-icon" type="submit" aria-label="Send" disabled>
          <SendIcon />
        </button>
      </form>
    </footer>
  );
}
