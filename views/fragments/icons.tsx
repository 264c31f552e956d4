/** @jsxImportSource hono/jsx */
import type { Child } from "hono/jsx";

/** Parley's mark: two speech bubbles, one answering the other. Colours come from the stylesheet. */
export function Logo() {
  return (
    <svg viewBox="0 0 20 20" width="24" height="24" aria-hidden="true">
      <path
        class="logo-first"
        d="M1 4.500A2.500 2.500 0 0 1 3.500 2h8A2.500 2.500 0 0 1 14 4.500v4a2.500 2.500 0 0 1-2.500 2.500H6l-4 3.500V11A2.500 2.500 0 0 1 1 8.500z"
      />
      <path
        class="logo-second"
        d="M16 7h.5A2.500 2.500 0 0 1 19 9.500v4a2.500 2.500 0 0 1-1 2.200V20l-4.500-4H9a2.500 2.500 0 0 1-2.450-2H12a4 4 0 0 0 4-4z"
      />
    </svg>
  );
}

function Icon({ children }: { children: Child }) {
  return (
    <svg
      viewBox="0 0 24 24"
      width="20"
      height="20"
      fill="none"
      stroke="currentColor"
      stroke-width="1.75"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      {children}
    </svg>
  );
}

export function MicrophoneIcon() {
  return (
    <Icon>
      <path d="M12 3a3 3 0 0 0-3 3v5a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3zM5.500 11a6.500 6.500 0 0 0 13 0M12 17.500V21" />
    </Icon>
  );
}

export function StopIcon() {
  return (
    <Icon>
      <rect fill="currentColor" stroke="none" x="6" y="6" width="12" height="12" rx="2.500" />
    </Icon>
  );
}

export function MutedIcon() {
  return (
    <Icon>
      <path d="M12 3a3 3 0 0 0-3 3v5a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3zM5.500 11a6.500 6.500 0 0 0 13 0M12 17.500V21M4 4l16 16" />
    </Icon>
  );
}

export function SpeakerIcon() {
  return (
    <Icon>
      <path d="M4 9.500v5h3.500L12 18.500v-13L7.500 9.500zM15.500 9a4 4 0 0 1 0 6M18 6.500a7.500 7.500 0 0 1 0 11" />
    </Icon>
  );
}

export function SendIcon() {
  return (
    <Icon>
      <path d="M12 19.500V5M5.500 11.500 12 5l6.500 6.500" />
    </Icon>
  );
}

export function DownIcon() {
  return (
    <Icon>
      <path d="M12 4.500V19M5.500 12.500 12 19l6.500-6.500" />
    </Icon>
  );
}

export function CloseIcon() {
  return (
    <Icon>
      <path d="m6.500 6.500 11 11m0-11-11 11" />
    </Icon>
  );
}
