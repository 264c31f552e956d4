import { expect } from "bun:test";
import { conversation } from "../audio/speech.ts";
import { Listener } from "../parley.ts";
import { startEnvironment } from "./environment.ts";
import { PageUser } from "./page-user.ts";
import { saying, spokenTest as test } from "./spoken.ts";

const PASSWORD = "correct horse battery staple";
const HELLO = "Hello there.";
/** The device plays from the moment it is opened, whether or not anybody listens yet. */
const DEVICE_LEAD_MS = 8000;
const DEVICE_SPEECH_MS = 2000;

test("with a password the page leads to the sign-in, lets only the right one in, and out again", async () => {
  await using environment = await startEnvironment({
    phrases: [HELLO],
    env: { AUTH_PASSWORD: PASSWORD },
  });
  const { parley } = environment;
  // The one conversation with the browser's own fake device and its processing of a voice.
  const { path } = conversation([{ say: HELLO }], { leadMs: DEVICE_LEAD_MS });
  await using user = await PageUser.at(`${parley.url}/`, { device: path });
  const { page } = user;
  expect(page.url()).toBe(`${parley.url}/sign-in?next=%2F`);

  await page.fill("#password", "wrong");
  await page.press("#password", "Enter");
  await page.waitForSelector("#sign-in-error");
  expect(await page.textContent("#sign-in-error")).toBe("Wrong password.");
  expect(await page.getAttribute("#password", "aria-invalid")).toBe("true");
  expect(await page.inputValue("#password")).toBe("");

  await page.fill("#password", PASSWORD);
  await page.click("button[type=submit]");
  await page.waitForURL(`${parley.url}/`);
  const [cookie] = await user.session.context.cookies();
  expect(cookie).toMatchObject({ httpOnly: true, sameSite: "Lax" });

  const begun = Date.now();
  const id = await user.start();
  const recorder = await user.listenedTo();
  const spokenBy = begun + DEVICE_LEAD_MS + DEVICE_SPEECH_MS;
  await saying(recorder, HELLO, async () => ({ to: spokenBy }));
  await user.reads("agent", `You said: ${HELLO}`);
  await user.hears(begun);
  await expectLockedOut(parley.url, id);
  await user.stop();

  await page.click("text=Sign out");
  await page.waitForURL(`${parley.url}/sign-in`);
  await page.goto(`${parley.url}/history`);
  expect(page.url()).toBe(`${parley.url}/sign-in?next=%2Fhistory`);
  // The browser itself tells of the refused password on its console, and of nothing else.
  const refused = "console: Failed to load resource: the server responded with a status of 401";
  expect(user.session.complaints).toEqual([expect.stringContaining(refused)]);
});

/** Without the cookie neither the API nor the transcript's WebSocket of a live session opens. */
async function expectLockedOut(url: string, id: string): Promise<void> {
  for (const path of [`/session/${id}`, `/transcripts/${id}`, "/token?room=a&identity=b"]) {
    expect({ path, status: (await fetch(`${url}${path}`)).status }).toEqual({ path, status: 401 });
  }
  const socket = Listener.open(`${url.replace("http", "ws")}/ws/transcript/${id}`);
  await expect(socket).rejects.toThrow("did not open");
  const headers = { Authorization: `Bearer ${PASSWORD}` };
  expect((await fetch(`${url}/session/${id}`, { headers })).status).toBe(200);
}
