// All that the doctor does with rtc-node. The import of rtc-node is static, since the bundler of the
// executable leaves a dynamic one empty. This module is imported dynamically instead, once the
// library is unpacked.
import { randomBytes } from "node:crypto";
import { AudioResampler, Room, RoomEvent } from "@livekit/rtc-node";
import { releaseRoom } from "../../agent/webrtc.ts";
import { withDeadline } from "../../lib/deadline.ts";
import { createRoomService } from "../../livekit/rooms.ts";
import { userToken } from "../../livekit/tokens.ts";

/** Loads rtc-node's library and uses it, since the import alone may not load it. */
export function tryRtcLibrary(): void {
  new AudioResampler(48_000, 16_000).close();
}

export interface LiveKitAccess {
  url: string;
  apiKey: string;
  apiSecret: string;
}

export interface Joined {
  /** How packets travel between this machine and the server. */
  protocol: "UDP" | "TCP" | "an unknown protocol";
  /** Time from the first request to the arrival of the packet. */
  ms: number;
}

const ROOM_OPTIONS = { autoSubscribe: true, dynacast: false };

/**
 * Joins a new room as two participants and sends a packet from one to the other. The packet uses
 * the same transport as audio, so if it arrives, audio does too.
 *
 * @throws DeadlineExceeded or rtc-node's error
 */
export async function joinTwice(access: LiveKitAccess, deadlineMs: number): Promise<Joined> {
  const { url, apiKey, apiSecret } = access;
  const room = `parley-doctor-${randomBytes(6).toString("hex")}`;
  const [sender, receiver] = [new Room(), new Room()];
  const arrived = Promise.withResolvers<void>();
  receiver.on(RoomEvent.DataReceived, () => arrived.resolve());
  const join = async (participant: Room, identity: string) => {
    const token = await userToken({ apiKey, apiSecret, room, identity });
    await participant.connect(url, token, ROOM_OPTIONS);
  };
  const startedAt = performance.now();
  try {
    const work = async (): Promise<Joined> => {
      await Promise.all([join(sender, "doctor-1"), join(receiver, "doctor-2")]);
      const packet = new TextEncoder().encode("parley doctor");
      await sender.localParticipant?.publishData(packet, { reliable: true });
      await arrived.promise;
      const ms = Math.round(performance.now() - startedAt);
      return { protocol: await protocolOf(sender), ms };
    };
    return await withDeadline(work(), deadlineMs, "joining a room");
  } finally {
    // Only rooms that were joined: rtc-node may never finish leaving another.
    const leaving = Promise.all(
      [sender, receiver].filter((participant) => participant.isConnected).map(releaseRoom),
    );
    await withDeadline(leaving, 1000, "leaving the room").catch(() => {});
    await createRoomService({ url, apiKey, apiSecret, timeoutMs: 1000 })
      .deleteRoom(room)
      .catch(() => {});
  }
}

/** The protocol of the candidate pair in use. */
async function protocolOf(room: Room): Promise<Joined["protocol"]> {
  const { publisherStats } = await room.getRtcStats();
  let selected: string | undefined;
  const pairs = new Map<string, string>();
  const protocols = new Map<string, string>();
  for (const { stats } of publisherStats) {
    if (stats.case === "transport") selected = stats.value.transport?.selectedCandidatePairId;
    if (stats.case === "candidatePair") {
      const { rtc, candidatePair } = stats.value;
      pairs.set(rtc?.id ?? "", candidatePair?.localCandidateId ?? "");
    }
    if (stats.case === "localCandidate") {
      protocols.set(stats.value.rtc?.id ?? "", stats.value.candidate?.protocol ?? "");
    }
  }
  const protocol = protocols.get(pairs.get(selected ?? "") ?? "")?.toUpperCase();
  return protocol === "UDP" || protocol === "TCP" ? protocol : "an unknown protocol";
}
