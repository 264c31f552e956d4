import { type LocalTrackPublication, type Room, RoomEvent } from "@livekit/rtc-node";

/** The part of rtc-node's one event client that this module relies on; it is not exported. */
interface EventClient {
  off(event: "ffi_event", listener: unknown): void;
}

/**
 * Lets a session's end not wait for somebody to subscribe to the agent's voice, published or about
 * to be. agents-js would, for ever when the person has left, and keep everything of the session.
 */
export function stopAwaitingListeners(room: Room): void {
  const subscribed = (publication?: LocalTrackPublication) => {
    publication?.resolveFirstSubscription();
  };
  for (const one of room.localParticipant?.trackPublications.values() ?? []) subscribed(one);
  room.on(RoomEvent.LocalTrackPublished, subscribed);
}

/** Leaves a room and lets go of it, once and without an error, whoever ended the connection. */
export async function releaseRoom(room: Room): Promise<void> {
  try {
    await room.disconnect();
  } finally {
    room.removeAllListeners();
    forget(room);
  }
}

/**
 * rtc-node's own `disconnect` does nothing after the server has closed the room, and then its
 * event client calls the `Room` for as long as the process lives.
 */
function forget(room: Room): void {
  const client: unknown = Reflect.get(globalThis, "_ffiClientInstance");
  const listener: unknown = Reflect.get(room, "onFfiEvent");
  if (isEventClient(client) && listener) client.off("ffi_event", listener);
}

function isEventClient(value: unknown): value is EventClient {
  return typeof value === "object" && value !== null && "off" in value;
}
