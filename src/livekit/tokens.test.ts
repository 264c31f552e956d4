import { expect, test } from "bun:test";
import { TokenVerifier } from "livekit-server-sdk";
import { agentToken, userToken } from "./tokens.ts";

const keys = { apiKey: "key", apiSecret: "a-secret-of-thirty-two-characters" };
const verifier = new TokenVerifier(keys.apiKey, keys.apiSecret);

test("a person's token opens one room for 15 minutes, to speak, listen and send data", async () => {
  const jwt = await userToken({
    ...keys,
    room: "kitchen",
    identity: "anna",
    name: "Anna",
    metadata: "{}",
    attributes: { color: "green" },
  });
  const claims = await verifier.verify(jwt);
  expect(claims.video).toEqual({
    room: "kitchen",
    roomJoin: true,
    canPublish: true,
    canSubscribe: true,
    canPublishData: true,
    canUpdateOwnMetadata: true,
  });
  expect(claims).toMatchObject({ sub: "anna", name: "Anna", metadata: "{}" });
  expect(claims.attributes).toEqual({ color: "green" });
  expect(claims.kind).toBeUndefined();
  const { exp = 0, nbf = 0 } = claims;
  expect(exp - nbf).toBe(15 * 60);
});

test("the agent's token says that it is an agent", async () => {
  const claims = await verifier.verify(
    await agentToken({ ...keys, room: "kitchen", identity: "agent-1" }),
  );
  expect(claims.kind).toBe("agent");
  expect(claims.video?.canUpdateOwnMetadata).toBe(true);
});
