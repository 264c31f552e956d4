import { describe, expect, jest, test } from "bun:test";
import { TokenVerifier } from "livekit-server-sdk";
import { z } from "zod";
import { json, LIVEKIT_KEYS, openHttp, problemOf } from "../../../test/http-harness.ts";
import { Failure } from "../../errors.ts";

const verifier = new TokenVerifier(LIVEKIT_KEYS.apiKey, LIVEKIT_KEYS.apiSecret);
const standardAnswer = z.strictObject({ server_url: z.string(), participant_token: z.string() });

async function claimsOf(response: Response) {
  const { token } = z.strictObject({ token: z.string() }).parse(await response.json());
  return verifier.verify(token);
}

describe("GET /token", () => {
  test("is a LiveKit token for that room and identity, good for 15 minutes", async () => {
    await using http = openHttp();
    const response = await http.guest("/token?room=kitchen&identity=ann&name=Ann%20%C3%84");
    expect(response.status).toBe(200);
    expect(response.headers.get("Cache-Control")).toBe("no-store");
    const claims = await claimsOf(response);
    expect(claims).toMatchObject({ sub: "ann", name: "Ann Ä" });
    expect(claims.video).toMatchObject({
      room: "kitchen",
      roomJoin: true,
      canPublish: true,
      canSubscribe: true,
      canPublishData: true,
    });
    for (const power of ["roomAdmin", "roomCreate", "roomList", "roomRecord", "hidden"] as const) {
      expect(claims.video?.[power]).toBeFalsy();
    }
    const { exp = 0, nbf = 0 } = claims;
    expect(exp - nbf).toBe(15 * 60);
    expect(Math.abs(nbf - Date.now() / 1000)).toBeLessThan(30);
  });

  test("needs no name, and takes names in any script", async () => {
    await using http = openHttp();
    const plain = await claimsOf(await http.guest("/token?room=r&identity=a"));
    expect(plain.name).toBeUndefined();
    const query = new URLSearchParams({ room: "会議室 🎙️", identity: "مريم", name: "Zoë <b>" });
    const claims = await claimsOf(await http.guest(`/token?${query}`));
    expect(claims.video?.room).toBe("会議室 🎙️");
    expect(claims).toMatchObject({ sub: "مريم", name: "Zoë <b>" });
  });

  test("trims, and takes names of 128 characters", async () => {
    await using http = openHttp();
    const room = "r".repeat(128);
    const claims = await claimsOf(await http.guest(`/token?room=%20${room}%20&identity=+ann+`));
    expect([claims.video?.room, claims.sub]).toEqual([room, "ann"]);
  });

  const long = "x".repeat(129);
  test.each([
    ["room is missing", "identity=ann", ["room"]],
    ["identity is missing", "room=r", ["identity"]],
    ["both are missing", "", ["room", "identity"]],
    ["room is empty", "room=&identity=ann", ["room"]],
    ["identity is blank", "room=r&identity=%20%20", ["identity"]],
    ["room is too long", `room=${long}&identity=ann`, ["room"]],
    ["identity is too long", `room=r&identity=${long}`, ["identity"]],
    ["name is too long", `room=r&identity=ann&name=${long}`, ["name"]],
    ["room has a NUL", "room=r%00m&identity=ann", ["room"]],
    ["room has a line break", "room=r%0D%0Am&identity=ann", ["room"]],
    ["identity has an escape", "room=r&identity=a%1B%5B31m", ["identity"]],
    ["identity has a C1 control", "room=r&identity=a%C2%85b", ["identity"]],
    ["identity has DEL", "room=r&identity=a%7F", ["identity"]],
    ["room has a right-to-left override", "room=a%E2%80%AEb&identity=ann", ["room"]],
    ["identity has an isolate", "room=r&identity=a%E2%81%A6b", ["identity"]],
    ["name has a right-to-left mark", "room=r&identity=ann&name=a%E2%80%8Fb", ["name"]],
    ["identity is an agent's", "room=r&identity=agent-007", ["identity"]],
    ["identity is an agent's after a blank", "room=r&identity=%20agent-007", ["identity"]],
  ])("is refused when %s, and each field that is wrong is named", async (_what, query, paths) => {
    await using http = openHttp();
    const response = await http.guest(`/token?${query}`);
    expect(response.status).toBe(400);
    const problem = await problemOf(response);
    expect([...new Set(problem.errors?.map(({ path }) => path))]).toEqual(paths);
    expect(problem.detail).toContain(String(paths[0]));
  });
});

describe("POST /token, LiveKit's standard endpoint", () => {
  test("fills in everything that is left out, differently each time", async () => {
    await using http = openHttp({ livekitUrl: "wss://rtc.example.org" });
    const seen = new Set<unknown>();
    for (const init of [{ method: "POST" }, json({}), json("")]) {
      const response = await http.guest("/token", init);
      expect(response.status).toBe(201);
      expect(response.headers.get("Cache-Control")).toBe("no-store");
      const answer = standardAnswer.parse(await response.json());
      expect(answer.server_url).toBe("wss://rtc.example.org");
      const { video, sub } = await verifier.verify(answer.participant_token);
      expect(video?.roomJoin).toBe(true);
      seen.add(sub).add(video?.room);
    }
    expect(seen.size).toBe(6);
  });

  test("takes every field of a starter app", async () => {
    await using http = openHttp();
    const response = await http.guest(
      "/token",
      json({
        room_name: "kitchen",
        participant_identity: "ann",
        participant_name: "Ann",
        participant_metadata: '{"a":1}',
        participant_attributes: { color: "green" },
        room_config: { agents: [{ agent_name: "any" }] },
      }),
    );
    expect(response.status).toBe(201);
    const answer = standardAnswer.parse(await response.json());
    const claims = await verifier.verify(answer.participant_token);
    expect(claims).toMatchObject({ sub: "ann", name: "Ann", metadata: '{"a":1}' });
    expect(claims.video?.room).toBe("kitchen");
    expect(claims.attributes).toEqual({ color: "green" });
    expect(claims.roomConfig).toBeUndefined();
  });

  test.each([
    ["an unknown field", { kind: "agent" }],
    ["more grants", { video: { roomAdmin: true } }],
    ["a lifetime", { ttl: "1y" }],
    ["an agent's identity", { participant_identity: "agent-1" }],
    ["an attribute of LiveKit's agents", { participant_attributes: { "lk.agent.state": "x" } }],
    ["a room that lasts", { room_config: { empty_timeout: 86400 } }],
    ["egress", { room_config: { egress: { room: {} } } }],
    ["an empty room", { room_name: "" }],
    ["a room that is no text", { room_name: ["r"] }],
    ["attributes that are no text", { participant_attributes: { a: 1 } }],
    [
      "too many attributes",
      {
        participant_attributes: Object.fromEntries(
          Array.from({ length: 33 }, (_, n) => [`a${n}`, ""]),
        ),
      },
    ],
    ["metadata without end", { participant_metadata: "x".repeat(4097) }],
    ["a list", []],
    ["a text", '"room"'],
    ["null", "null"],
    ["no JSON", "{room_name:"],
  ])("refuses %s", async (_what, body) => {
    await using http = openHttp();
    const response = await http.guest("/token", json(body));
    expect(response.status).toBe(400);
    await problemOf(response);
  });
});

describe("while LiveKit cannot be reached", () => {
  const asking = [
    ["GET", "/token?room=r&identity=a", undefined],
    ["POST", "/token", json({})],
  ] as const;

  test.each(asking)("%s waits for it", async (_method, path, init) => {
    const up = Promise.withResolvers<void>();
    await using http = openHttp({ livekitReachable: () => up.promise });
    const response = http.guest(path, init);
    expect(await Promise.race([response, Bun.sleep(50)])).toBeUndefined();
    up.resolve();
    expect((await response).ok).toBe(true);
  });

  test.each(asking)("%s answers 503 after 10 s, with Retry-After", async (_method, path, init) => {
    jest.useFakeTimers();
    try {
      await using http = openHttp({ livekitReachable: () => new Promise(() => {}) });
      const response = http.guest(path, init);
      for (let turn = 0; turn < 50; turn++) await null;
      jest.advanceTimersByTime(10_000);
      const answer = await response;
      expect([answer.status, answer.headers.get("Retry-After")]).toEqual([503, "5"]);
      expect((await problemOf(answer)).detail).toContain("LiveKit");
    } finally {
      jest.useRealTimers();
    }
  });

  test.each(asking)("%s says at once why it cannot start", async (_method, path, init) => {
    const why = new Failure("unavailable", "livekit-server stopped 5 times. Set LIVEKIT_URL.");
    await using http = openHttp({ livekitReachable: () => Promise.reject(why) });
    const answer = await http.guest(path, init);
    expect([answer.status, answer.headers.get("Retry-After")]).toEqual([503, "5"]);
    expect((await problemOf(answer)).detail).toBe(why.message);
  });
});
