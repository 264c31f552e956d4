import { dispose, type LocalTrackPublication, type Room, RoomEvent } from "@livekit/rtc-node";
import type { Logger } from "pino";
// rtc-node does not export its logger. The path is in a plain import, since the bundler that makes
// the executable sees no other.
import { log } from "../../node_modules/@livekit/rtc-node/dist/log.cjs";

/** Sends rtc-node's log, which it writes to stdout in its own format, to `logger`. */
export function redirectRtcLog(logger: Logger): void {
  const method = (level: "debug" | "info" | "warn" | "error") => logger[level].bind(logger);
  const methods = {
    debug: method("debug"),
    info: method("info"),
    warn: method("warn"),
    error: method("error"),
  };
  Object.assign(log, methods);
}

/**
 * Ends WebRTC's threads. A dynamic import of rtc-node could not name `dispose` in the executable:
 * its ES module re-exports a CommonJS one, whose names are known only at run time.
 */
export function disposeWebRtc(): Promise<void> {
  return dispose();
}

/**
 * Lets a session end without a subscriber to the agent's audio, whether it is published or about
 * to be. agents-js waits for one, for ever if the person has left, and keeps the whole session.
 */
export function stopAwaitingSubscribers(room: Room): void {
  const markSubscribed = (publication?: LocalTrackPublication) => {
    publication?.resolveFirstSubscription();
  };
  for (const publication of room.localParticipant?.trackPublications.values() ?? []) {
    markSubscribed(publication);
  }
  room.on(RoomEvent.LocalTrackPublished, markSubscribed);
}

/** Leaves a room and frees it, also if the server has closed the connection already. */
export async function releaseRoom(room: Room): Promise<void> {
  try {
    await room.disconnect();
  } finally {
    room.removeAllListeners();
    stopFfiEvents(room);
  }
}

/** The part of rtc-node's global event client that this module uses; it is not exported. */
interface FfiClient {
  off(event: "ffi_event", listener: unknown): void;
}

/**
 * Removes the room from rtc-node's event client. The room's own `disconnect` does not do that after
 * the server has closed the room, and the client would keep it as long as the process runs.
 */
function stopFfiEvents(room: Room): void {
  const client: unknown = Reflect.get(globalThis, "_ffiClientInstance");
  const listener: unknown = Reflect.get(room, "onFfiEvent");
  if (isFfiClient(client) && listener) client.off("ffi_event", listener);
}

function isFfiClient(value: unknown): value is FfiClient {
  return typeof value === "object" && value !== null && "off" in value;
}
