import { describe, expect, test } from "bun:test";
import { z } from "zod";
import { insertSession, sessionOf } from "../../../test/database.ts";
import {
  form,
  type HttpSide,
  json,
  openHttp,
  PASSWORD,
  problemOf,
} from "../../../test/http-harness.ts";
import { Failure } from "../../errors.ts";

const started = z.strictObject({ session_id: z.uuidv7() });
const UNKNOWN = Bun.randomUUIDv7();
/** Nothing of these is the id of a session. */
const NO_IDS = [
  UNKNOWN,
  "1",
  "undefined",
  "__proto__",
  "%00",
  "..%2F..%2Fetc",
  "%E0%A4%A",
  "'%20or%201=1--",
  "6ba7b810-9dad-41d1-80b4-00c04fd430c8",
  "x".repeat(40),
];

async function start(http: HttpSide, body: object = { room: "kitchen" }): Promise<string> {
  const response = await http.guest("/session", json(body));
  expect(response.status).toBe(201);
  return started.parse(await response.json()).session_id;
}

/** Bodies that are wrong, and the fields that are named. */
const REFUSED: [what: string, body: object, paths: string[]][] = [
  ["no room", {}, ["room"]],
  ["an empty room", { room: " " }, ["room"]],
  ["a room that is no text", { room: 7 }, ["room"]],
  ["a room with a line break", { room: "a\nb" }, ["room"]],
  ["an agent's identity", { room: "r", identity: "agent-1" }, ["identity"]],
  ["instructions without end", { room: "r", system_prompt: "x".repeat(8001) }, ["system_prompt"]],
  ["instructions with NUL", { room: "r", system_prompt: "a\0b" }, ["system_prompt"]],
  ["a greeting without end", { room: "r", greeting: "x".repeat(1001) }, ["greeting"]],
  ["a voice with controls", { room: "r", voice: "a\u001bb" }, ["voice"]],
  ["a language that is none", { room: "r", language: "English!" }, ["language"]],
  ["the name of a language", { room: "r", language: "german" }, ["language"]],
  ["a language that nobody knows", { room: "r", language: "xx" }, ["language"]],
  ["a language that is no text", { room: "r", language: 7 }, ["language"]],
  ["a word to expect that is no list", { room: "r", keyterms: "a, b" }, ["keyterms"]],
  ["an empty word to expect", { room: "r", keyterms: ["a", " "] }, ["keyterms.1"]],
  ["a long word to expect", { room: "r", keyterms: ["x".repeat(65)] }, ["keyterms.0"]],
  ["a word with a line break", { room: "r", keyterms: ["a\nb"] }, ["keyterms.0"]],
  ["too many words to expect", { room: "r", keyterms: Array(101).fill("a") }, ["keyterms"]],
  ["two mistakes", { identity: "agent-1", language: "*" }, ["room", "identity", "language"]],
];

describe("POST /session", () => {
  test("answers 201 with the id and where the session is", async () => {
    await using http = openHttp();
    const response = await http.guest("/session", json({ room: "kitchen" }));
    expect(response.status).toBe(201);
    const { session_id } = started.parse(await response.json());
    expect(response.headers.get("Location")).toBe(`/session/${session_id}`);
    expect((await http.guest(`/session/${session_id}`)).status).toBe(200);
  });

  test("hands every wish on, trimmed, and ignores what it does not know", async () => {
    await using http = openHttp();
    const wishes = {
      identity: "ann",
      system_prompt: "Be odd.\n\tVery.",
      greeting: "Hi!",
      voice: "echo",
      language: "pt-BR",
      keyterms: ["Parley", "Grüße aus Köln"],
      llm_model: "gpt-5",
    };
    await start(http, { room: "  kitchen ", ...wishes, node: "elsewhere", id: UNKNOWN });
    expect(http.manager.started).toEqual([{ room: "kitchen", ...wishes }]);
  });

  test("takes empty optional fields as absent, as HTML forms send them", async () => {
    await using http = openHttp();
    const empty = { identity: "", system_prompt: " ", greeting: "", voice: "", language: "" };
    await start(http, { room: "kitchen", ...empty, llm_model: "" });
    expect(http.manager.started.map((one) => JSON.stringify(one))).toEqual(['{"room":"kitchen"}']);
  });

  test.each([
    ["de-de", "de-DE"],
    ["ZH-hant", "zh-Hant"],
    ["Auto", "auto"],
  ])("writes the language %p in its canonical form", async (language, canonical) => {
    await using http = openHttp();
    await start(http, { room: "kitchen", language });
    expect(http.manager.started).toEqual([{ room: "kitchen", language: canonical }]);
  });

  test.each(REFUSED)("refuses %s and names the field", async (_what, body, paths) => {
    await using http = openHttp();
    const response = await http.guest("/session", json(body));
    expect(response.status).toBe(400);
    const problem = await problemOf(response);
    expect([...new Set(problem.errors?.map(({ path }) => path))]).toEqual(paths);
    expect(http.manager.started).toEqual([]);
  });

  test.each([
    ["conflict", 409],
    ["upstream_failed", 502],
    ["unavailable", 503],
  ] as const)("tells why a start failed (%s)", async (kind, status) => {
    await using http = openHttp();
    const failure = new Failure(kind, "That is why.");
    http.manager.failure = failure;
    const response = await http.guest("/session", json({ room: "r" }));
    expect(response.status).toBe(status);
    expect(response.headers.get("Location")).toBeNull();
    expect(await problemOf(response)).toMatchObject({ status, detail: failure.message });
  });

  test("beyond the limit is 429 and says when to try again", async () => {
    await using http = openHttp();
    http.manager.failure = new Failure("limit", "All in use.", { retryAfter: 30 });
    const response = await http.guest("/session", json({ room: "r" }));
    expect(response.status).toBe(429);
    expect(response.headers.get("Retry-After")).toBe("30");
    expect((await problemOf(response)).detail).toBe("All in use.");
  });
});

describe("GET /session", () => {
  test("tells all of one session", async () => {
    await using http = openHttp();
    const session = sessionOf({ room: "kitchen", started_at: 1_700_000_000_123 });
    insertSession(http.database, session);
    const response = await http.guest(`/session/${session.id}`);
    expect(await response.json()).toEqual({
      session_id: session.id,
      room: "kitchen",
      identity: "ann",
      name: "Ann",
      state: "active",
      started_at: "2023-11-14T22:13:20.123Z",
      ended_at: null,
      end_reason: null,
      settings: {
        system_prompt: "Be brief.",
        greeting: null,
        voice: "alloy",
        language: null,
        keyterms: [],
        stt_model: "whisper-1",
        llm_model: "gpt-4o-mini",
        tts_model: "tts-1",
      },
      counts: { segments: 0, turns: 0 },
    });
  });

  test("lists the live ones, newest first, without those that ended", async () => {
    await using http = openHttp();
    const [old, ended, young] = [1, 2, 3].map((started_at) => sessionOf({ started_at }));
    for (const one of [old, ended, young]) if (one) insertSession(http.database, one);
    await http.guest(`/session/${ended?.id}`, { method: "DELETE" });
    const listed = z
      .strictObject({ sessions: z.array(z.looseObject({ session_id: z.string() })) })
      .parse(await (await http.guest("/session")).json());
    expect(listed.sessions.map(({ session_id }) => session_id)).toEqual([
      String(young?.id),
      String(old?.id),
    ]);
  });

  test.each(NO_IDS)("of %p is 404", async (id) => {
    await using http = openHttp();
    await problemOf(await http.guest(`/session/${id}`));
    expect((await http.guest(`/session/${id}`)).status).toBe(404);
  });
});

describe("DELETE /session/:id", () => {
  test("answers that it has stopped, and the same again", async () => {
    await using http = openHttp();
    const id = await start(http);
    for (const _ of [1, 2]) {
      const response = await http.guest(`/session/${id}`, { method: "DELETE" });
      expect(response.status).toBe(200);
      expect(await response.json()).toEqual({ stopped: true });
    }
    expect(http.manager.stopped).toEqual([id, id]);
  });

  test.each(NO_IDS)("of %p is 404 and stops nothing", async (id) => {
    await using http = openHttp();
    const response = await http.guest(`/session/${id}`, { method: "DELETE" });
    expect(response.status).toBe(404);
    await problemOf(response);
    expect(http.manager.stopped).toEqual([]);
  });
});

describe("POST /session/:id/message", () => {
  test("hands the words to the agent, trimmed", async () => {
    await using http = openHttp();
    const id = await start(http);
    const response = await http.guest(`/session/${id}/message`, json({ text: " Hello!\n" }));
    expect(response.status).toBe(202);
    expect(http.manager.said).toEqual([[id, "Hello!"]]);
  });

  test.each([
    ["no text", {}],
    ["an empty text", { text: "" }],
    ["a blank text", { text: " \n " }],
    ["a number", { text: 1 }],
    ["a NUL", { text: "a\0b" }],
    ["words without end", { text: "x".repeat(4001) }],
    ["as many in two code units each", { text: "👩".repeat(2001) }],
    ["null", null],
  ])("refuses %s", async (_what, body) => {
    await using http = openHttp();
    const id = await start(http);
    const response = await http.guest(`/session/${id}/message`, json(body));
    expect(response.status).toBe(400);
    await problemOf(response);
    expect(http.manager.said).toEqual([]);
  });

  test("to a session that is not running is 409, to an unknown one 404", async () => {
    await using http = openHttp();
    const id = await start(http);
    http.manager.failure = new Failure("conflict", "It is not running.");
    const path = `/session/${id}/message`;
    expect((await http.guest(path, json({ text: "hi" }))).status).toBe(409);
    for (const other of NO_IDS) {
      const response = await http.guest(`/session/${other}/message`, json({ text: "hi" }));
      expect(response.status).toBe(404);
    }
  });
});

describe("POST /drain", () => {
  test("answers what still runs; then there is no token, and a caller knows when to try again", async () => {
    await using http = openHttp();
    await start(http);
    const response = await http.guest("/drain", { method: "POST" });
    expect(response.status).toBe(202);
    expect(await response.json()).toEqual({ draining: true, conversations: 1 });
    const refused = [
      await http.guest("/token?room=r&identity=ann"),
      await http.guest("/token", json({ room_name: "r" })),
    ];
    for (const { status, headers } of refused) {
      expect([status, headers.get("Retry-After")]).toEqual([503, "30"]);
    }
  });

  test("is for people who are signed in, and not for forms of other sites", async () => {
    await using http = openHttp({ variables: { AUTH_PASSWORD: PASSWORD } });
    expect((await http.guest("/drain", { method: "POST" })).status).toBe(401);
    const cookie = await http.signIn();
    const origin = "https://evil.example";
    const foreign = await http.guest("/drain", form({}, { Cookie: cookie, Origin: origin }));
    expect(foreign.status).toBe(403);
    expect(http.manager.draining).toBe(false);
    expect((await http.user("/drain", { method: "POST" })).status).toBe(202);
    expect(http.manager.draining).toBe(true);
  });
});
