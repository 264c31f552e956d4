import { afterAll, describe, expect, test } from "bun:test";
import {
  memoryLogger,
  noticeEvent,
  openLog,
  range,
  transcriptEvent,
  upTo,
} from "../../test/event-log.ts";
import type { Envelope, SessionEvent } from "../domain/transcript.ts";
import { LocalChannelLayer } from "./channel-layer.ts";
import { Hub } from "./hub.ts";
import type { HubClient } from "./subscriber.ts";

/** A client whose network takes everything, unless a test says otherwise. */
class FakeClient implements HubClient {
  readonly got: Envelope[] = [];
  readonly texts: string[] = [];
  buffered = 0;
  closed: { code: number; reason: string } | undefined;

  send(text: string): void {
    this.texts.push(text);
    this.got.push(JSON.parse(text));
  }
  bufferedBytes(): number {
    return this.buffered;
  }
  close(code: number, reason: string): void {
    expect(this.closed).toBeUndefined();
    this.closed = { code, reason };
  }
  get seqs(): number[] {
    return this.got.map((envelope) => envelope.seq);
  }
}

const open = new DisposableStack();
afterAll(() => open.dispose());

/** A hub over a log on disk, with a session that has begun. */
function openHub(more: Partial<ConstructorParameters<typeof Hub>[0]> = {}) {
  const logger = memoryLogger();
  const { log, events, begin } = open.use(openLog((envelope) => layer.publish(envelope)));
  const layer = new LocalChannelLayer({ log: events, logger });
  const hub = new Hub({ layer, logger, ...more });
  const session = begin();
  return {
    hub,
    log,
    events,
    begin,
    layer,
    logger,
    session,
    publish: (text: string) => log.append(session, transcriptEvent(text)),
  };
}

describe("live", () => {
  test("an event is on disk before any client sees it", async () => {
    const { hub, events, session, publish } = openHub();
    const client = new FakeClient();
    await hub.connect(client, session, 1);
    const onDisk: number[] = [];
    client.send = () => onDisk.push(events.position(session).seq);
    for (const text of ["a", "b", "c"]) publish(text);
    expect(onDisk).toEqual([2, 3, 4]);
  });

  test("an event that the log refuses reaches no client, and its number stays free", async () => {
    const { hub, log, session, publish } = openHub();
    const client = new FakeClient();
    await hub.connect(client, session, 1);
    expect(() => log.append(Bun.randomUUIDv7(), transcriptEvent("of no session"))).toThrow();
    expect(client.seqs).toEqual([]);
    expect(publish("kept").seq).toBe(2);
    expect(client.seqs).toEqual([2]);
  });

  test("a session is known once it has an event", async () => {
    const { hub, session } = openHub();
    expect(await hub.has(Bun.randomUUIDv7())).toBe(false);
    expect(await hub.has(session)).toBe(true);
  });
});

describe("replay", () => {
  test("with after: everything after it, then live", async () => {
    const { hub, session, publish } = openHub();
    for (const seq of range(2, 5)) publish(String(seq));
    const client = new FakeClient();
    await hub.connect(client, session, 3);
    publish("6");
    expect(client.seqs).toEqual([4, 5, 6]);
  });

  test("of more events than are read at once has no gap", async () => {
    const { hub, log, session } = openHub();
    for (const seq of range(2, 2500)) log.append(session, noticeEvent(String(seq)));
    const client = new FakeClient();
    await hub.connect(client, session, 0);
    expect(client.seqs).toEqual(upTo(2500));
  });

  test("without after: a snapshot of the session, then live", async () => {
    const { hub, log, session } = openHub();
    const say = (segment_id: string, text: string, final: boolean) =>
      transcriptEvent(text, { segment_id, final });
    const metrics = { turn_id: "t", endpointing_ms: 1, stt_ms: 2, llm_ttft_ms: 3 };
    const stored: [SessionEvent, kept: boolean][] = [
      [{ type: "session", data: { state: "starting" } }, false],
      [{ type: "session", data: { state: "active" } }, true],
      [{ type: "agent_state", data: { state: "listening" } }, false],
      [{ type: "speech", data: { role: "user", identity: "ann", state: "started" } }, false],
      [say("one", "hel", false), false],
      [say("one", "hello", true), true],
      [{ type: "speech", data: { role: "user", identity: "ann", state: "stopped" } }, false],
      [{ type: "error", data: { code: "x", message: "gone", recoverable: true } }, false],
      [
        {
          type: "metrics",
          data: {
            ...metrics,
            tts_ttfb_ms: null,
            voice_to_voice_ms: null,
            prompt_tokens: null,
            completion_tokens: null,
          },
        },
        true,
      ],
      [{ type: "agent_state", data: { state: "speaking" } }, true],
      [{ type: "speech", data: { role: "agent", identity: "bot", state: "started" } }, true],
      [say("two", "I", false), false],
      [say("two", "I am", false), true],
    ];
    for (const [event] of stored) log.append(session, event);
    const client = new FakeClient();
    await hub.connect(client, session);
    const kept = stored.flatMap(([, isKept], index) => (isKept ? [index + 2] : []));
    expect(client.seqs).toEqual(kept);
    log.append(session, say("two", "I am here", true));
    expect(client.seqs).toEqual([...kept, stored.length + 2]);
  });
});

describe("a replay while the session goes on", () => {
  test("with an after beyond the end: a snapshot, then live", async () => {
    const { hub, session, publish } = openHub();
    publish("2");
    const client = new FakeClient();
    await hub.connect(client, session, 1000);
    publish("3");
    expect([client.seqs, client.closed]).toEqual([[1, 2, 3], undefined]);
  });

  test("events between subscribing and the end of the snapshot come once, in order", async () => {
    const { hub, layer, session, publish } = openHub();
    publish("2");
    const snapshot = layer.snapshot.bind(layer);
    layer.snapshot = async (id) => {
      publish("before reading");
      const past = await snapshot(id);
      publish("after reading");
      return past;
    };
    const client = new FakeClient();
    await hub.connect(client, session);
    publish("live");
    expect(client.seqs).toEqual(upTo(5));
  });

  test("events between subscribing and the end of the replay come once, in order", async () => {
    const { hub, layer, session, publish } = openHub();
    for (const seq of range(2, 10)) publish(String(seq));
    const read = layer.read.bind(layer);
    layer.read = async (id, after) => {
      publish("before reading");
      const past = await read(id, after);
      publish("after reading");
      return past;
    };
    const client = new FakeClient();
    await hub.connect(client, session, 0);
    publish("live");
    expect(client.seqs).toEqual(upTo(13));
  });
});

describe("a replay that is delayed or fails", () => {
  test("a replay larger than the buffer goes as fast as the client reads", async () => {
    const { hub, session, publish } = openHub({ maxBufferedBytes: 1000 });
    for (const seq of range(2, 100)) publish(String(seq));
    const client = new FakeClient();
    const send = client.send.bind(client);
    let most = 0;
    client.send = (text) => {
      send(text);
      client.buffered += text.length;
      most = Math.max(most, client.buffered);
      setImmediate(() => {
        client.buffered = 0;
        hub.drained(client);
      });
    };
    await hub.connect(client, session, 0);
    expect(client.seqs).toEqual(upTo(100));
    expect(most).toBeLessThan(1000);
    expect(client.closed).toBeUndefined();
  });

  test("a client that leaves in the middle of its replay gets nothing more", async () => {
    const { hub, session, publish } = openHub({ maxBufferedBytes: 10 });
    for (const seq of range(2, 5)) publish(String(seq));
    const client = new FakeClient();
    client.buffered = 100;
    const connecting = hub.connect(client, session, 0);
    setImmediate(() => hub.disconnect(client));
    await connecting;
    expect([client.seqs, hub.connectionCount, hub.groupCount]).toEqual([[], 0, 0]);
  });

  test("a replay that fails closes that client, and is logged", async () => {
    const { hub, layer, logger, session, publish } = openHub();
    publish("a");
    const failed = () => Promise.reject(new Error("disk on fire"));
    Object.assign(layer, { read: failed, snapshot: failed });
    for (const after of [undefined, 0]) {
      const client = new FakeClient();
      await hub.connect(client, session, after);
      expect(client.closed?.code).toBe(1011);
      expect(logger.lines.at(-1)).toMatchObject({ session_id: session, error: "disk on fire" });
      expect(hub.groupCount).toBe(0);
    }
  });
});

describe("the end", () => {
  test("is delivered and closes with 1000", async () => {
    const { hub, log, session, publish } = openHub();
    const clients = [new FakeClient(), new FakeClient()];
    for (const client of clients) await hub.connect(client, session);
    publish("bye");
    log.end(session, "stopped");
    for (const client of clients) {
      expect([client.seqs, client.closed?.code]).toEqual([[1, 2, 3], 1000]);
    }
    expect([hub.connectionCount, hub.groupCount]).toEqual([0, 0]);
  });

  test("of a session that could not start is delivered, and nobody knows it afterwards", async () => {
    const { hub, log, session } = openHub();
    const client = new FakeClient();
    await hub.connect(client, session);
    log.discard(session);
    expect([client.seqs, client.closed?.code]).toEqual([[1, 2], 1000]);
    expect(await hub.has(session)).toBe(false);
  });

  for (const [after, seqs] of [
    [undefined, [2, 3]],
    [0, [1, 2, 3]],
    [2, [3]],
    [3, []],
    [9, [2, 3]],
  ] as const) {
    test(`a client that comes later with after=${after} gets ${seqs.length} and 1000`, async () => {
      const { hub, log, session, publish } = openHub();
      publish("bye");
      log.end(session, "stopped");
      const client = new FakeClient();
      await hub.connect(client, session, after);
      expect([client.seqs, client.closed?.code]).toEqual([[...seqs], 1000]);
    });
  }

  test("that arrives during the replay closes the client after it", async () => {
    const { hub, log, layer, session, publish } = openHub();
    publish("a");
    const read = layer.read.bind(layer);
    layer.read = async (id, after) => {
      const past = await read(id, after);
      log.end(session, "stopped");
      return past;
    };
    const client = new FakeClient();
    await hub.connect(client, session, 0);
    expect([client.seqs, client.closed?.code]).toEqual([[1, 2, 3], 1000]);
  });
});

describe("slow clients", () => {
  test("a slow one is closed with 1013 and forgotten; the others get everything", async () => {
    const { hub, session, publish } = openHub({ maxBufferedBytes: 1000 });
    const [slow, fast] = [new FakeClient(), new FakeClient()];
    await hub.connect(slow, session);
    await hub.connect(fast, session);
    publish("2");
    slow.buffered = 1001;
    for (const seq of [3, 4]) publish(String(seq));
    expect([slow.seqs, slow.closed?.code]).toEqual([[1, 2], 1013]);
    expect([fast.seqs, fast.closed, hub.connectionCount]).toEqual([[1, 2, 3, 4], undefined, 1]);
    const back = new FakeClient();
    await hub.connect(back, session, 2);
    expect(back.seqs).toEqual([3, 4]);
  });

  test("one message larger than the buffer gets through", async () => {
    const { hub, session, publish } = openHub({ maxBufferedBytes: 1000 });
    const client = new FakeClient();
    await hub.connect(client, session);
    publish("w".repeat(5000));
    expect([client.seqs, client.closed]).toEqual([[1, 2], undefined]);
  });

  test("a client stuck in its replay is closed once too much waits for it", async () => {
    const { hub, session, publish } = openHub({ maxBufferedBytes: 1000 });
    publish("1");
    const client = new FakeClient();
    client.buffered = 900;
    const connecting = hub.connect(client, session, 0);
    for (const seq of upTo(20)) publish(`more ${seq}`);
    await connecting;
    expect(client.closed?.code).toBe(1013);
  });
});

describe("many clients", () => {
  test("one that cannot be written to does not disturb the others", async () => {
    const { hub, session, publish } = openHub();
    const [broken, fine] = [new FakeClient(), new FakeClient()];
    await hub.connect(broken, session);
    await hub.connect(fine, session);
    broken.send = () => {
      throw new Error("broken pipe");
    };
    publish("1");
    publish("2");
    expect([fine.seqs, broken.closed?.code]).toEqual([[1, 2, 3], 1011]);
  });

  test("that come before the next event share one reading of the past", async () => {
    const { hub, layer, session, publish } = openHub();
    publish("a");
    let readings = 0;
    const snapshot = layer.snapshot.bind(layer);
    layer.snapshot = (id) => {
      readings += 1;
      return snapshot(id);
    };
    const clients = [new FakeClient(), new FakeClient(), new FakeClient()];
    await Promise.all(clients.map((client) => hub.connect(client, session)));
    expect(readings).toBe(1);
    publish("b");
    const late = new FakeClient();
    await hub.connect(late, session);
    expect(readings).toBe(2);
    for (const client of clients) expect(client.seqs).toEqual([1, 2, 3]);
    // The second final of a segment replaces the first on the screen; both are in the log.
    expect(late.seqs).toEqual([1, 2, 3]);
  });

  test("share one subscription and one serialised text; the last one ends it", async () => {
    const { hub, layer, session, publish } = openHub();
    let subscriptions = 0;
    const subscribe = layer.subscribe.bind(layer);
    layer.subscribe = async (id, listener) => {
      subscriptions += 1;
      const end = await subscribe(id, listener);
      return async () => {
        subscriptions -= 1;
        await end();
      };
    };
    const clients = [new FakeClient(), new FakeClient(), new FakeClient()];
    for (const client of clients) await hub.connect(client, session);
    publish("x");
    expect([subscriptions, hub.connectionCount]).toEqual([1, 3]);
    for (const client of clients) hub.disconnect(client);
    await hub[Symbol.asyncDispose]();
    expect([subscriptions, hub.connectionCount]).toEqual([0, 0]);
  });

  test("receive only the events of their session", async () => {
    const { hub, log, begin, session, publish } = openHub();
    const [here, there] = [new FakeClient(), new FakeClient()];
    const other = begin();
    await hub.connect(here, session);
    await hub.connect(there, other);
    publish("for here");
    log.append(other, transcriptEvent("for there"));
    expect(here.got.map((envelope) => envelope.session_id)).toEqual([session, session]);
    expect(there.got.map((envelope) => envelope.session_id)).toEqual([other, other]);
  });

  test("closing the hub closes all with 1001, later ones too", async () => {
    const { hub, session } = openHub();
    const [early, late] = [new FakeClient(), new FakeClient()];
    await hub.connect(early, session);
    await hub[Symbol.asyncDispose]();
    await hub.connect(late, session);
    expect([early.closed?.code, late.closed?.code, hub.groupCount]).toEqual([1001, 1001, 0]);
  });
});
