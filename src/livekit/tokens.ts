import type { AccessToken } from "livekit-server-sdk";

/** Long enough to join; a joined participant stays in, and LiveKit renews its token by itself. */
const TOKEN_LIFETIME = "15m";

export interface TokenOptions {
  apiKey: string;
  apiSecret: string;
  room: string;
  identity: string;
  name?: string | undefined;
  metadata?: string | undefined;
  attributes?: Record<string, string> | undefined;
}

/** A JWT with which a person joins `room`: may speak, listen, send data and set own attributes. */
export async function userToken(options: TokenOptions): Promise<string> {
  return (await participantToken(options)).toJwt();
}

/**
 * The same for Parley's agent. Its kind is `agent`, so that clients tell it from people and it
 * does not keep an empty room open.
 */
export async function agentToken(options: TokenOptions): Promise<string> {
  const token = await participantToken(options);
  token.kind = "agent";
  return token.toJwt();
}

async function participantToken(options: TokenOptions): Promise<AccessToken> {
  // Imported at first use: it costs 30 to 60 ms that the start of the HTTP server need not wait for.
  const { AccessToken } = await import("livekit-server-sdk");
  const { apiKey, apiSecret, room, identity, name, metadata, attributes } = options;
  const token = new AccessToken(apiKey, apiSecret, {
    identity,
    ttl: TOKEN_LIFETIME,
    ...(name !== undefined && { name }),
    ...(metadata !== undefined && { metadata }),
    ...(attributes !== undefined && { attributes }),
  });
  token.addGrant({
    room,
    roomJoin: true,
    canPublish: true,
    canSubscribe: true,
    canPublishData: true,
    // The agent reports `lk.agent.state` through its attributes; without this it is refused.
    canUpdateOwnMetadata: true,
  });
  return token;
}
