import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  Collector,
  ENDED,
  envelopeOf,
  type MemoryLog,
  transcriptEvent,
  upTo,
} from "../../test/event-log.ts";
import type { SessionEvent } from "../domain/transcript.ts";
import type { ChannelLayer } from "./channel-layer.ts";

/** A layer with the log it reads from, which a publisher writes first. */
export interface LayerUnderTest extends AsyncDisposable {
  layer: ChannelLayer;
  log: MemoryLog;
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
      const session = Bun.randomUUIDv7();
      const publish = (seq: number, event = transcriptEvent(`text ${seq}`)) => {
        const envelope = envelopeOf(session, seq, event);
        subject.log.append(envelope);
        subject.layer.publish(envelope);
      };
      return { ...subject, session, publish };
    };
    subscribing(begin);
    reading(begin);
  });
}

type Begin = () => Omit<LayerUnderTest, symbol> & {
  session: string;
  publish: (seq: number, event?: SessionEvent) => void;
};

function subscribing(begin: Begin): void {
  test("a subscriber gets what is published from then on, in order", async () => {
    const { layer, publish, session } = begin();
    publish(1);
    const received = new Collector();
    await layer.subscribe(session, received.listener);
    for (const seq of [2, 3, 4]) publish(seq);
    await received.until(4);
    expect(received.seqs).toEqual([2, 3, 4]);
    expect(received.envelopes[0]).toEqual(envelopeOf(session, 2, transcriptEvent("text 2")));
  });

  test("every subscriber gets everything once; one that throws does not affect the others", async () => {
    const { layer, publish, session } = begin();
    const [one, other] = [new Collector(), new Collector()];
    await layer.subscribe(session, one.listener);
    await layer.subscribe(session, () => {
      throw new Error("broken listener");
    });
    await layer.subscribe(session, other.listener);
    for (const seq of upTo(50)) publish(seq);
    await Promise.all([one.until(50), other.until(50)]);
    expect([one.seqs, other.seqs]).toEqual([upTo(50), upTo(50)]);
  });

  test("an ended subscription receives nothing more; the others continue", async () => {
    const { layer, publish, session } = begin();
    const [gone, stays] = [new Collector(), new Collector()];
    const end = await layer.subscribe(session, gone.listener);
    await layer.subscribe(session, stays.listener);
    publish(1);
    await Promise.all([gone.until(1), stays.until(1)]);
    await end();
    await end();
    publish(2);
    await stays.until(2);
    expect(gone.seqs).toEqual([1]);
  });

  test("a session whose last subscriber left can be subscribed to again, at once", async () => {
    const { layer, publish, session } = begin();
    for (const seq of upTo(20)) {
      const received = new Collector();
      const end = await layer.subscribe(session, received.listener);
      publish(seq);
      await received.until(seq);
      expect(received.seqs).toEqual([seq]);
      void end();
    }
  });

  test("a subscriber receives only the envelopes of its session", async () => {
    const { layer, log, publish, session } = begin();
    const received = new Collector();
    await layer.subscribe(session, received.listener);
    const other = envelopeOf(Bun.randomUUIDv7(), 1);
    log.append(other);
    layer.publish(other);
    publish(1);
    await received.until(1);
    expect(received.envelopes.map((envelope) => envelope.session_id)).toEqual([session]);
  });
}

function reading(begin: Begin): void {
  test("published envelopes can be read after any seq; an unknown session is empty", async () => {
    const { layer, publish, session } = begin();
    for (const seq of upTo(5)) publish(seq);
    const seqs = async (after: number) =>
      (await layer.read(session, after)).map((envelope) => envelope.seq);
    expect(await seqs(0)).toEqual([1, 2, 3, 4, 5]);
    expect(await seqs(3)).toEqual([4, 5]);
    expect(await seqs(99)).toEqual([]);
    expect(await layer.read(Bun.randomUUIDv7(), 0)).toEqual([]);
  });

  test("the position follows the session to its end", async () => {
    const { layer, publish, session } = begin();
    expect(await layer.position(session)).toEqual({ seq: 0, ended: false });
    publish(1);
    expect(await layer.position(session)).toEqual({ seq: 1, ended: false });
    publish(2, ENDED);
    expect(await layer.position(session)).toEqual({ seq: 2, ended: true });
  });

  test("hostile text arrives unchanged", async () => {
    const { layer, publish, session } = begin();
    const received = new Collector();
    await layer.subscribe(session, received.listener);
    for (const [index, text] of HOSTILE.entries()) publish(index + 1, transcriptEvent(text));
    await received.until(HOSTILE.length);
    const expected = HOSTILE.map((text, i) => envelopeOf(session, i + 1, transcriptEvent(text)));
    expect(received.envelopes).toEqual(expected);
    expect(await layer.read(session, 0)).toEqual(expected);
  });

  test("ping resolves while the layer works", async () => {
    const { layer } = begin();
    await layer.ping();
  });
}
