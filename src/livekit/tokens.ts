import type { AccessToken } from "livekit-server-sdk";

/** Long enough to join; LiveKit renews the token of a participant who has joined. */
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

/** A JWT to join `room` as a person, who may speak, listen, send data and set attributes. */
export async function userToken(options: TokenOptions): Promise<string> {
  return (await participantToken(options)).toJwt();
}

/**
 * A JWT to join `room` as Parley's agent. Its kind is `agent`, so that clients can tell it from
 * people and it does not keep an otherwise empty room open.
 */
export async function agentToken(options: TokenOptions): Promise<string> {
  const token = await participantToken(options);
  token.kind = "agent";
  return token.toJwt();
}

async function participantToken(options: TokenOptions): Promise<AccessToken> {
  // Imported on first use: the import takes 30 to 60 ms and would delay the HTTP server's start.
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
    // The agent reports `lk.agent.state` through its attributes, which needs this grant.
    canUpdateOwnMetadata: true,
  });
  return token;
}
