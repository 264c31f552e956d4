import { Hono } from "hono";
import { z } from "zod";
import type { SessionStore, TranscriptStore } from "../../domain/stores.ts";
import { EXPORT_FORMATS, exportTranscript } from "../../transcript/export.ts";
import { parse } from "../request.ts";
import { findSession, isoTime } from "../session-resource.ts";

export interface TranscriptDeps {
  sessions: SessionStore;
  transcripts: TranscriptStore;
}

const query = z.object({
  format: z
    .enum(EXPORT_FORMATS, { error: `format must be one of ${EXPORT_FORMATS.join(", ")}` })
    .optional(),
});

/** `GET /transcripts/:session_id`: the final segments as JSON, or a download with `?format=`. */
export function transcriptRoutes({ sessions, transcripts }: TranscriptDeps): Hono {
  const app = new Hono();
  app.get("/transcripts/:session_id", (c) => {
    const session = findSession(sessions, c.req.param("session_id"));
    const { format } = parse(query, c.req.query());
    const segments = transcripts.segments(session.id);
    c.header("Cache-Control", "no-store");
    if (format === undefined) {
      return c.json({
        session_id: session.id,
        room: session.room,
        identity: session.identity,
        started_at: isoTime(session.started_at),
        ended_at: isoTime(session.ended_at),
        end_reason: session.end_reason,
        segments: segments.map((segment) => ({
          ...segment,
          started_at: isoTime(segment.started_at),
          ended_at: isoTime(segment.ended_at),
        })),
      });
    }
    const { body, contentType, filename } = exportTranscript(session, segments, format);
    return c.body(body, 200, {
      "Content-Type": contentType,
      "Content-Disposition": `attachment; filename="${filename}"`,
    });
  });
  return app;
}
