import type { RoomLeases } from "../domain/stores.ts";

/** The leases of a Parley that shares its LiveKit with no other: every room is its own. */
export const localLeases: RoomLeases = {
  acquire: async () => ({ [Symbol.asyncDispose]: async () => {} }),
};
