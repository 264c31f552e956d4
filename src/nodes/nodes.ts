import type { Logger } from "pino";
import type { OtherNodes } from "../domain/other-nodes.ts";
import type { EndReason } from "../domain/session.ts";
import type { EventLog, RoomLeases } from "../domain/stores.ts";
import { Failure, messageOf } from "../errors.ts";
import type { ChannelLayer } from "../transcript/channel-layer.ts";
import { RedisChannelLayer } from "../transcript/redis.ts";
import { RedisLink } from "../transcript/redis-link.ts";
import { NodeRegistry, type NodeTiming } from "./node-registry.ts";
import { NodeRequests } from "./node-requests.ts";
import { type OwnSessions, RemoteSessions, respondTo } from "./remote-sessions.ts";
import { RedisRoomLeases } from "./room-leases.ts";

/** What this node shares with the other Parleys on its Redis. */
export interface Nodes extends AsyncDisposable {
  layer: ChannelLayer;
  leases: RoomLeases;
  others: OtherNodes;
}

interface NodesOptions {
  url: string;
  log: EventLog;
  /** The sessions of this node, about which others ask. */
  own: Omit<OwnSessions, "stop"> & { stop(id: string, reason?: EndReason): Promise<void> };
  logger: Logger;
  timing?: NodeTiming;
}

/** Joins the Parleys that share a Redis: at once if it can be reached, else as soon as it can. */
export function joinNodes({ url, log, own, logger, timing }: NodesOptions): Nodes {
  const link = new RedisLink({ url, logger });
  // A lost connection is reported by the link and followed by the next; the rest is a defect.
  const logDefect = (error: unknown) => {
    if (error instanceof Failure) return;
    logger.error({ error: messageOf(error) }, "unexpected error between nodes");
  };
  const layer = new RedisChannelLayer({
    ...{ link, log, logger },
    onEndedElsewhere: (id) => void own.stop(id, "crashed").catch(logDefect),
  });
  const registry = new NodeRegistry({
    ...{ link, logger, timing },
    onGone: async (sessionIds) => {
      for (const id of sessionIds) await layer.endForGone(id, "crashed");
    },
    onDataLost: () => layer.resume(),
    onBeat: () => leases.renew(),
  });
  const leases = new RedisRoomLeases(link, registry);
  const respond = (question: unknown) => respondTo(question, own);
  const requests = new NodeRequests({ link, registry, respond, logger });
  // Others ask a node once they know of it, so it listens first.
  const join = async () => {
    await requests.listen();
    await registry.connected();
  };
  link.onConnect(() => void join().catch(logDefect));
  return {
    layer,
    leases,
    others: new RemoteSessions(requests),
    [Symbol.asyncDispose]: async () => {
      await layer[Symbol.asyncDispose]();
      await registry[Symbol.asyncDispose]();
      link.close();
    },
  };
}
