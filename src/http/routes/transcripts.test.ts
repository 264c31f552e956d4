import { describe, expect, test } from "bun:test";
import { insertSession, sessionOf } from "../../../test/database.ts";
import { transcriptEvent } from "../../../test/event-log.ts";
import { type HttpSide, openHttp, problemOf } from "../../../test/http-harness.ts";
import { EXPORT_FORMATS } from "../../transcript/export.ts";

const WORDS = `<script>alert(1)</script> "quoted", =1+1 \u202e`;

/** A session in which something was said. */
function talked(http: HttpSide): string {
  const session = sessionOf({ room: "kitchen", started_at: Date.UTC(2026, 0, 2, 3, 4, 5, 6) });
  insertSession(http.database, session);
  const start = { started_at: session.started_at + 1000 };
  http.log.append(session.id, transcriptEvent("Hel", { ...start, final: false }));
  http.log.append(session.id, transcriptEvent("Hello", start));
  const agent = { segment_id: "s2", role: "agent", identity: "agent-1" } as const;
  http.log.append(session.id, transcriptEvent(WORDS, { ...start, ...agent, interrupted: true }));
  http.log.end(session.id, "stopped");
  return session.id;
}

describe("GET /transcripts/:session_id", () => {
  test("holds the final segments in order, as they were said", async () => {
    await using http = openHttp();
    const id = talked(http);
    const response = await http.guest(`/transcripts/${id}`);
    expect(response.status).toBe(200);
    expect(response.headers.get("Content-Type")).toStartWith("application/json");
    expect(response.headers.get("Cache-Control")).toBe("no-store");
    expect(await response.json()).toEqual({
      session_id: id,
      room: "kitchen",
      identity: "ann",
      started_at: "2026-01-02T03:04:05.006Z",
      ended_at: expect.stringMatching(/^\d{4}-.*Z$/),
      end_reason: "stopped",
      segments: [
        {
          seq: 2,
          segment_id: "s1",
          role: "user",
          identity: "ann",
          text: "Hello",
          started_at: "2026-01-02T03:04:06.006Z",
          ended_at: expect.stringMatching(/^\d{4}-.*Z$/),
          interrupted: false,
          language: null,
        },
        {
          seq: 3,
          segment_id: "s2",
          role: "agent",
          identity: "agent-1",
          text: WORDS,
          started_at: "2026-01-02T03:04:06.006Z",
          ended_at: expect.stringMatching(/^\d{4}-.*Z$/),
          interrupted: true,
          language: null,
        },
      ],
    });
  });

  test("of a session in which nothing was said has no segments", async () => {
    await using http = openHttp();
    const session = sessionOf();
    insertSession(http.database, session);
    const answer = await (await http.guest(`/transcripts/${session.id}`)).json();
    expect(answer).toMatchObject({ segments: [], ended_at: null, end_reason: null });
  });

  test.each([...EXPORT_FORMATS])("downloads as %s, never shown in the page", async (format) => {
    await using http = openHttp();
    const id = talked(http);
    const response = await http.guest(`/transcripts/${id}?format=${format}`);
    expect(response.status).toBe(200);
    expect(response.headers.get("Content-Disposition")).toBe(
      `attachment; filename="parley-2026-01-02-${id}.${format}"`,
    );
    expect(response.headers.get("X-Content-Type-Options")).toBe("nosniff");
    expect(response.headers.get("Content-Type")).not.toContain("html");
    expect(await response.text()).toContain("Hello");
  });

  test.each(["pdf", "", "TXT", "txt%00", "__proto__"])("as %p is refused", async (format) => {
    await using http = openHttp();
    const response = await http.guest(`/transcripts/${talked(http)}?format=${format}`);
    expect(response.status).toBe(400);
    expect((await problemOf(response)).errors?.[0]?.message).toContain("txt, md, vtt");
  });

  test.each([Bun.randomUUIDv7(), "1", "%00", "..%2Fparley.db"])("of %p is 404", async (id) => {
    await using http = openHttp();
    for (const query of ["", "?format=txt"]) {
      const response = await http.guest(`/transcripts/${id}${query}`);
      expect(response.status).toBe(404);
      await problemOf(response);
    }
  });
});
