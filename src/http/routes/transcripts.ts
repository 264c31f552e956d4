import { Hono } from "hono";
import { z } from "zod";
import { EXPORT_FORMATS, exportTranscript } from "../../transcript/export.ts";
import { parse } from "../request.ts";
import { findTranscript, isoTime, type TranscriptSources } from "../session-resource.ts";

const query = z.object({
  format: z
    .enum(EXPORT_FORMATS, { error: `format must be one of ${EXPORT_FORMATS.join(", ")}` })
    .optional(),
});

/** `GET /transcripts/:session_id`: the final segments as JSON, or a download with `?format=`. */
export function transcriptRoutes(sources: TranscriptSources): Hono {
  const app = new Hono();
  app.get("/transcripts/:session_id", async (c) => {
    const { session, segments } = await findTranscript(sources, c.req.param("session_id"));
    const { format } = parse(query, c.req.query());
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
