import { expect } from "bun:test";
import type { Listener, Parley } from "../parley.ts";
import { finalOf, saidIn, startEnvironment, storedTranscript } from "./environment.ts";
import { PageUser } from "./page-user.ts";
import { spokenTest as test } from "./spoken.ts";

interface Speaker {
  room: string;
  /** No word of it is in the other's phrases. */
  phrases: [string, string];
}

const SPEAKERS: Speaker[] = [
  { room: "garden", phrases: ["Please buy seven yellow lemons.", "Green apples taste better."] },
  {
    room: "station",
    phrases: ["Our train leaves around midnight.", "Snow covers high mountains."],
  },
];

/** The agent says everything back. */
function linesOf({ phrases }: Speaker): string[] {
  return phrases.flatMap((phrase) => [`user: ${phrase}`, `agent: You said: ${phrase}`]);
}

function wordsOf({ phrases }: Speaker): string[] {
  return phrases.flatMap((phrase) => phrase.toLowerCase().match(/\p{L}+/gu) ?? []);
}

/** When the user spoke, as the WebSocket told; ms since the epoch. */
function userSpeech({ events }: Listener): { from: number; to: number }[] {
  const spans: { from: number; to: number }[] = [];
  for (const { type, data, at } of events) {
    if (type !== "speech" || data.role !== "user") continue;
    if (data.state === "started") spans.push({ from: Date.parse(at), to: Number.NaN });
    const last = spans.at(-1);
    if (data.state === "stopped" && last) last.to = Date.parse(at);
  }
  return spans;
}

/** Everything of a conversation that anybody can see, once it is over. */
async function everywhere(user: PageUser, listener: Listener, parley: Parley, id: string) {
  const shown = await user.shown();
  const everShown = (await user.noted("lines")).map(({ text }) => text);
  const told = JSON.stringify(listener.events.filter(({ type }) => type === "transcript"));
  const stored = saidIn(await storedTranscript(parley, id));
  const page = await (await parley.fetch(`/history/${id}`)).text();
  return { shown, stored, texts: [...everShown, told, ...stored, page].join("\n").toLowerCase() };
}

test("two people who speak at the same time in two rooms never see a word of the other", async () => {
  const phrases = SPEAKERS.flatMap((speaker) => speaker.phrases);
  await using open = new AsyncDisposableStack();
  const { parley } = open.use(await startEnvironment({ phrases }));
  const talks = await Promise.all(
    SPEAKERS.map(async (speaker) => {
      const user = open.use(await PageUser.at(parley.url));
      const id = await user.start({ room: speaker.room });
      const listener = open.use(await parley.listen(id, 0));
      await user.listenedTo();
      return { speaker, user, listener, id };
    }),
  );
  for (const turn of [0, 1] as const) {
    await Promise.all(talks.map(({ speaker, user }) => user.say(speaker.phrases[turn])));
    for (const { speaker, user, listener } of talks) {
      await finalOf(listener, "agent", `You said: ${speaker.phrases[turn]}`);
      await user.reads("agent", `You said: ${speaker.phrases[turn]}`);
      await user.agentIs("listening");
    }
  }

  const [one, other] = talks.map(({ listener }) => userSpeech(listener));
  const together = one?.some((a) => other?.some((b) => a.from < b.to && b.from < a.to));
  expect({ one, other, together }).toEqual({ one, other, together: true });

  for (const { speaker, user, listener, id } of talks) {
    const seen = await everywhere(user, listener, parley, id);
    expect(seen.shown).toEqual(linesOf(speaker));
    expect(seen.stored).toEqual(linesOf(speaker));
    const foreign = SPEAKERS.filter((one) => one !== speaker).flatMap(wordsOf);
    const leaked = foreign.filter((word) => new RegExp(`\\b${word}\\b`).test(seen.texts));
    expect({ leaked, seen }).toEqual({ leaked: [], seen });
    await user.stop();
    expect(user.session.complaints).toEqual([]);
  }
});
