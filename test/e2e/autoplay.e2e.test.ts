import { expect, test } from "bun:test";
import type { CDPSession } from "playwright-core";
import { finalOf, startEnvironment } from "./environment.ts";
import { PageUser } from "./page-user.ts";
import { eventually } from "./wait.ts";

/** What matters of the page's sound. */
interface Sound {
  /** Whether the page was tapped or typed at since it was loaded. */
  touched: boolean;
  state: string | undefined;
  paused: boolean | undefined;
  /** How much was let out, in measurements louder than silence. */
  heard: number;
  /** Where the button is; null while it is hidden. */
  button: { x: number; y: number; label: string } | null;
}

/**
 * Chromium plays without a tap while a page records a real (or its own fake) microphone. So the
 * block, which other browsers and listeners without a microphone meet, needs another source.
 */
function recordNothing(): void {
  const devices = navigator.mediaDevices;
  if (devices === undefined) return;
  devices.getUserMedia = async () => new AudioContext().createMediaStreamDestination().stream;
}

function readSound(): Sound {
  const button = document.getElementById("unmute-sound");
  const box = button?.checkVisibility() ? button.getBoundingClientRect() : null;
  const loud = window.probe.levels.filter(({ rms, playing }) => playing && rms > 0.01);
  return {
    touched: navigator.userActivation.hasBeenActive,
    state: document.getElementById("status")?.dataset["state"],
    paused: document.querySelector<HTMLAudioElement>("#audio audio")?.paused,
    heard: loud.length,
    button: box && {
      x: box.x + box.width / 2,
      y: box.y + box.height / 2,
      label: button?.textContent?.trim() ?? "",
    },
  };
}

/** Looks without touching: what Playwright evaluates counts as a tap of the person. */
async function look(cdp: CDPSession): Promise<Sound> {
  const { result } = await cdp.send("Runtime.evaluate", {
    expression: `(${readSound})()`,
    returnByValue: true,
    userGesture: false,
  });
  return result.value as Sound;
}

test("sound that the browser blocks after a reload comes back with a click on Turn on sound", async () => {
  await using environment = await startEnvironment({});
  await using user = await PageUser.at(environment.parley.url, { blockAutoplay: true });
  await user.session.context.addInitScript(recordNothing);
  await user.page.reload();
  const cdp = await user.session.context.newCDPSession(user.page);
  const started = Date.now();
  const id = await user.start({ room: "quiet" });
  await using listener = await environment.parley.listen(id);
  const say = (text: string) => environment.parley.post(`/session/${id}/message`, { text });
  await say("First words.");
  await user.hears(started);
  expect(await user.page.isHidden("#unmute-sound")).toBe(true);

  await user.page.reload({ waitUntil: "commit" });
  const blocked = await eventually(
    "the button appears",
    () => look(cdp),
    ({ button, state }) => button !== null && state === "live",
  );
  expect(blocked).toMatchObject({ touched: false, paused: true, heard: 0 });
  expect(blocked.button?.label).toBe("Turn on sound");
  await say("Second words.");
  await finalOf(listener, "agent", "You said: Second words.");
  expect(await look(cdp)).toMatchObject({ touched: false, paused: true, heard: 0 });

  const clicked = Date.now();
  await user.page.mouse.click(blocked.button?.x ?? 0, blocked.button?.y ?? 0);
  await say("Third words.");
  await user.hears(clicked);
  expect(await look(cdp)).toMatchObject({ touched: true, paused: false, button: null });
  await finalOf(listener, "agent", "You said: Third words.");
  await user.stop();
  expect(user.session.complaints).toEqual([]);
});
