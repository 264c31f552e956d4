import type { RoomServiceClient } from "livekit-server-sdk";
import { Failure, messageOf, statusOf } from "../errors.ts";

export interface RoomServiceOptions {
  url: string;
  apiKey: string;
  apiSecret: string;
  /** How long one call may take. */
  timeoutMs?: number;
}

export interface RoomParticipant {
  identity: string;
  name: string;
  kind: "agent" | "standard" | "other";
  /** How many tracks it publishes. */
  tracks: number;
}

/** The part of LiveKit's room API that Parley uses. */
export interface RoomService {
  /** Names of the open rooms. The cheapest call that proves address, key and secret. */
  listRooms(): Promise<string[]>;
  /** The participants of a room; none when the room does not exist. */
  participants(room: string): Promise<RoomParticipant[]>;
  /** Closes a room and disconnects its participants; does nothing when it does not exist. */
  deleteRoom(room: string): Promise<void>;
}

/** `ParticipantInfo.Kind` of LiveKit's protocol; livekit-server-sdk does not export its names. */
const KINDS: Partial<Record<number, RoomParticipant["kind"]>> = { 0: "standard", 4: "agent" };
const DEFAULT_TIMEOUT_MS = 3000;

/** Wraps LiveKit's room API, with a deadline for each call. @throws Failure that says what to do */
export function createRoomService(options: RoomServiceOptions): RoomService {
  const { url, apiKey, apiSecret, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  const call = async <T>(use: (client: RoomServiceClient) => Promise<T>): Promise<T> => {
    const { RoomServiceClient } = await import("livekit-server-sdk");
    const client = new RoomServiceClient(url, apiKey, apiSecret, {
      requestTimeout: timeoutMs / 1000,
      // A retry against another region would exceed the deadline.
      failover: false,
    });
    return use(client);
  };
  return {
    listRooms: () =>
      call(async (client) => (await client.listRooms()).map((room) => room.name)).catch((error) => {
        throw roomFailure(url, error);
      }),
    participants: (room) =>
      call((client) => participantsOf(client, room)).catch((error) => {
        if (isNotFound(error)) return [];
        throw roomFailure(url, error);
      }),
    deleteRoom: (room) =>
      call((client) => client.deleteRoom(room)).catch((error) => {
        if (!isNotFound(error)) throw roomFailure(url, error);
      }),
  };
}

async function participantsOf(client: RoomServiceClient, room: string): Promise<RoomParticipant[]> {
  const participants = await client.listParticipants(room);
  return participants.map(({ identity, name, kind, tracks }) => ({
    identity,
    name,
    kind: KINDS[kind] ?? "other",
    tracks: tracks.length,
  }));
}

function isNotFound(error: unknown): boolean {
  return statusOf(error) === 404;
}

function roomFailure(url: string, error: unknown): Failure {
  const { host } = new URL(url);
  if (statusOf(error) === 401) {
    return new Failure(
      "upstream_failed",
      `LiveKit at ${host} refused the key: check LIVEKIT_API_KEY and LIVEKIT_API_SECRET`,
      { cause: error },
    );
  }
  return new Failure("unavailable", `LiveKit at ${host} does not answer: ${messageOf(error)}`, {
    cause: error,
  });
}
