import { speak } from "../audio/speech.ts";
import { AUDIBLE, Caller } from "../caller.ts";
import { Listener } from "../parley.ts";

// A person at the far end of a network, in a process of their own: joins a room, says each line of
// stdin, and reports what is read and heard, a JSON object a line. See `FarPerson`.
//
// Arguments: the address of LiveKit, a token, and the address of the transcript's WebSocket.

const RATE = 48_000;
const REPORT_MS = 50;

const [livekit = "", token = "", transcript = ""] = process.argv.slice(2);
const caller = await Caller.join(livekit, token);
const listener = await Listener.open(transcript);
await caller.listenedTo();
await caller.speak(new Int16Array(RATE / 2));
const said = { events: 0, frames: 0 };
setInterval(() => {
  for (const event of listener.events.slice(said.events)) report({ event });
  const heard = caller.heard.slice(said.frames).findLast(({ level }) => level > AUDIBLE);
  if (heard) report({ heardAt: heard.at });
  said.events = listener.events.length;
  said.frames = caller.heard.length;
}, REPORT_MS);
void listener.closed.then(({ code }) => report({ closed: code }));
report({ joined: true });
for await (const text of console) await caller.speak(speak(text, { rate: RATE }));

function report(what: Record<string, unknown>): void {
  console.log(JSON.stringify(what));
}
