import type { Room } from "@livekit/rtc-node";

/**
 * Leaves a room and lets go of it, once and without an error, whoever ended the connection.
 * rtc-node's own `disconnect` does nothing after the server has closed the room, and then keeps
 * the `Room` reachable through its event client for as long as the process lives.
 */
export async function releaseRoom(room: Room): Promise<void> {
  try {
    await room.disconnect();
  } finally {
    room.removeAllListeners();
  }
}
