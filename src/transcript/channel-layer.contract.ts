import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { Collector, type openLog, range, transcriptEvent } from "../../test/event-log.ts";
import type { Envelope } from "../domain/transcript.ts";
import type { ChannelLayer } from "./channel-layer.ts";

/** A layer with the log that publishes to it. */
export interface LayerUnderTest extends AsyncDisposable {
  layer: ChannelLayer;
  stored: ReturnType<typeof openLog>;
}

const HOSTILE = [
  "<script>alert(1)</script>\r\n*3\r\n$7\r\nFLUSHDB\r\n",
  "\u0000\u0007\u001b[2J\u202eevil\u2066",
  "\ud800 lone, \u{1f600} pair, \u2028 separator",
  "' \" \\ $ {} %s {{}} -- ; DROP TABLE events",
  "w".repeat(1_000_000),
];

/** What every implementation of a channel layer promises. */
export function channelLayerContract(name: string, open: () => Promise<LayerUnderTest>): void {
  describe(`${name}: the channel layer's contract`, () => {
    const current: { subject?: LayerUnderTest } = {};
    beforeEach(async () => {
      current.subject = await open();
    });
    afterEach(() => current.subject?.[Symbol.asyncDispose]());
    const begin = () => {
      const { subject } = current;
      if (!subject) throw new Error("no layer");
      const { layer, stored } = subject;
      const session = stored.begin();
      const publish = (text: string) => stored.log.append(session, transcriptEvent(text));
      return { layer, stored, session, publish };
    };
    subscribing(begin);
    reading(begin);
  });
}

type Begin = () => Omit<LayerUnderTest, symbol> & {
  /** A session that has begun: event 1. */
  session: string;
  publish: (text: string) => Envelope;
};

function subscribing(begin: Begin): void {
  test("a subscriber gets what is published from then on, in order", async () => {
    const { layer, publish, session } = begin();
    const received = new Collector();
    await layer.subscribe(session, received.listener);
    const published = [2, 3, 4].map((seq) => publish(`text ${seq}`));
    await received.until(4);
    expect(received.envelopes).toEqual(published);
  });

  test("every subscriber gets everything once; one that throws does not affect the others", async () => {
    const { layer, publish, session } = begin();
    const [one, other] = [new Collector(), new Collector()];
    await layer.subscribe(session, one.listener);
    await layer.subscribe(session, () => {
      throw new Error("broken listener");
    });
    await layer.subscribe(session, other.listener);
    for (const seq of range(2, 50)) publish(String(seq));
    await Promise.all([one.until(50), other.until(50)]);
    expect([one.seqs, other.seqs]).toEqual([range(2, 50), range(2, 50)]);
  });

  test("an ended subscription receives nothing more; the others continue", async () => {
    const { layer, publish, session } = begin();
    const [gone, stays] = [new Collector(), new Collector()];
    const end = await layer.subscribe(session, gone.listener);
    await layer.subscribe(session, stays.listener);
    publish("2");
    await Promise.all([gone.until(2), stays.until(2)]);
    await end();
    await end();
    publish("3");
    await stays.until(3);
    expect(gone.seqs).toEqual([2]);
  });

  test("a session whose last subscriber left can be subscribed to again, at once", async () => {
    const { layer, publish, session } = begin();
    for (const seq of range(2, 20)) {
      const received = new Collector();
      const end = await layer.subscribe(session, received.listener);
      publish(String(seq));
      await received.until(seq);
      expect(received.seqs).toEqual([seq]);
      void end();
    }
  });

  test("a subscriber receives only the envelopes of its session", async () => {
    const { layer, stored, publish, session } = begin();
    const received = new Collector();
    await layer.subscribe(session, received.listener);
    stored.begin();
    publish("2");
    await received.until(2);
    expect(received.envelopes.map((envelope) => envelope.session_id)).toEqual([session]);
  });
}

function reading(begin: Begin): void {
  test("published envelopes can be read after any seq; an unknown session is empty", async () => {
    const { layer, publish, session } = begin();
    for (const seq of range(2, 5)) publish(String(seq));
    const seqs = async (after: number, limit?: number) =>
      (await layer.read(session, after, limit)).map((envelope) => envelope.seq);
    expect(await seqs(0)).toEqual([1, 2, 3, 4, 5]);
    expect(await seqs(3)).toEqual([4, 5]);
    expect(await seqs(1, 2)).toEqual([2, 3]);
    expect(await seqs(99)).toEqual([]);
    expect(await layer.read(Bun.randomUUIDv7(), 0)).toEqual([]);
  });

  test("the position follows the session to its end", async () => {
    const { layer, stored, publish, session } = begin();
    expect(await layer.position(Bun.randomUUIDv7())).toEqual({ seq: 0, ended: false });
    expect(await layer.position(session)).toEqual({ seq: 1, ended: false });
    publish("2");
    expect(await layer.position(session)).toEqual({ seq: 2, ended: false });
    stored.log.end(session, "stopped");
    expect(await layer.position(session)).toEqual({ seq: 3, ended: true });
  });

  test("a snapshot leaves out what a later event replaced, and says how far it goes", async () => {
    const { layer, stored, session } = begin();
    const say = (text: string, final: boolean) =>
      stored.log.append(session, transcriptEvent(text, { segment_id: text.slice(0, 1), final }));
    for (const text of ["a", "ab", "abc"]) say(text, false);
    say("abcd", true);
    for (const text of ["x", "xy"]) say(text, false);
    stored.log.append(session, {
      type: "error",
      data: { code: "over", message: "It is over.", recoverable: true },
    });
    const { events, ...position } = await layer.snapshot(session);
    expect(events.map(({ seq }) => seq)).toEqual([1, 5, 7]);
    expect(position).toEqual({ seq: 8, ended: false });
    expect(await layer.snapshot(Bun.randomUUIDv7())).toEqual({ seq: 0, ended: false, events: [] });
  });

  test("hostile text arrives unchanged", async () => {
    const { layer, publish, session } = begin();
    const received = new Collector();
    await layer.subscribe(session, received.listener);
    const published = HOSTILE.map(publish);
    await received.until(HOSTILE.length + 1);
    expect(received.envelopes).toEqual(published);
    expect(await layer.read(session, 1)).toEqual(published);
  });

  test("ping resolves while the layer works", async () => {
    const { layer } = begin();
    await layer.ping();
  });
}
