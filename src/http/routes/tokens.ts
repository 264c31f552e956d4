import { Hono } from "hono";
import { z } from "zod";
import { freeText, participantIdentity, participantName, roomName } from "../../domain/session.ts";
import { Failure } from "../../errors.ts";
import { withDeadline } from "../../lib/deadline.ts";
import { jsonBody, parse } from "../request.ts";

export interface TokenDeps {
  /** Signs a token with which a person joins a room. */
  userToken(grant: {
    room: string;
    identity: string;
    name?: string | undefined;
    metadata?: string | undefined;
    attributes?: Record<string, string> | undefined;
  }): Promise<string>;
  /** Where browsers reach LiveKit now. */
  livekitUrl(): string;
  /** Resolves when LiveKit can be reached; rejects with a Failure. */
  livekitReachable(): Promise<void>;
  /**
   * Whether a conversation may begin in a room, or go on in it; undefined: a new room.
   * @throws Failure `unavailable` when Parley is about to end
   */
  assertOpen(room?: string): void;
  /** Prepares for a conversation, which a request for a token announces. */
  warmUp(): void;
}

const query = z.object({
  room: roomName,
  identity: participantIdentity,
  name: participantName.optional(),
});

/** Attributes that only LiveKit and its agents may set. */
const RESERVED_ATTRIBUTE = /^lk\./;

const attributes = z
  .record(z.string().min(1).max(128), freeText("attribute", 1024))
  .refine((all) => Object.keys(all).length <= 32, "more than 32 attributes")
  .refine(
    (all) => !Object.keys(all).some((key) => RESERVED_ATTRIBUTE.test(key)),
    'attributes may not start with "lk."',
  );

/**
 * LiveKit's standard token request. Of `room_config` only `agents` is accepted, and ignored:
 * Parley's agent joins by `POST /session`.
 */
const standardRequest = z.strictObject({
  room_name: roomName.optional(),
  participant_identity: participantIdentity.optional(),
  participant_name: participantName.optional(),
  participant_metadata: freeText("participant_metadata", 4096).optional(),
  participant_attributes: attributes.optional(),
  room_config: z.strictObject({ agents: z.array(z.unknown()).max(8).optional() }).optional(),
});

/** How long a token waits for a LiveKit server that is starting or being restarted, in ms. */
const LIVEKIT_WAIT_MS = 10_000;
const RETRY_AFTER_S = 5;

/** `GET /token` of Parley's own pages, and `POST /token` as LiveKit's starter apps call it. */
export function tokenRoutes(deps: TokenDeps): Hono {
  const app = new Hono();
  app.get("/token", async (c) => {
    const { room, identity, name } = parse(query, c.req.query());
    deps.assertOpen(room);
    deps.warmUp();
    await untilReachable(deps);
    c.header("Cache-Control", "no-store");
    return c.json({ token: await deps.userToken({ room, identity, name }) });
  });
  app.post("/token", async (c) => {
    const body = parse(standardRequest, await jsonBody(c));
    deps.assertOpen(body.room_name);
    deps.warmUp();
    await untilReachable(deps);
    const token = await deps.userToken({
      room: body.room_name ?? `room-${shortId()}`,
      identity: body.participant_identity ?? `user-${shortId()}`,
      name: body.participant_name,
      metadata: body.participant_metadata,
      attributes: body.participant_attributes,
    });
    c.header("Cache-Control", "no-store");
    return c.json({ server_url: deps.livekitUrl(), participant_token: token }, 201);
  });
  return app;
}

/** A token for a server that refuses the connection would help nobody. @throws Failure */
async function untilReachable({ livekitReachable }: TokenDeps): Promise<void> {
  try {
    await withDeadline(livekitReachable(), LIVEKIT_WAIT_MS, "LiveKit");
  } catch (cause) {
    const message =
      cause instanceof Failure
        ? cause.message
        : "The LiveKit server, which carries the sound, is starting or does not answer.";
    throw new Failure("unavailable", message, { retryAfter: RETRY_AFTER_S, cause });
  }
}

function shortId(): string {
  return crypto.randomUUID().slice(0, 8);
}
