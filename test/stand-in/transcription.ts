import { readWav } from "../../src/lib/wav.ts";
import { answer, refuse, type StandInContext } from "./answer.ts";
import type { LoggedRequest } from "./log.ts";

/**
 * `POST /v1/audio/transcriptions`: answers the known words that the WAV really holds, as
 * `{"text"}`, or as plain text for `response_format=text`. Other bodies or formats: 400.
 */
export async function transcriptions(
  context: StandInContext,
  entry: LoggedRequest,
  request: Request,
): Promise<Response> {
  const form = await request.formData().catch(() => undefined);
  const file = form?.get("file");
  if (form === undefined || !(file instanceof Blob)) {
    return refuse(context, entry, 400, "expected a multipart form with a `file`");
  }
  const format = form.get("response_format") ?? "json";
  if (format !== "json" && format !== "text") {
    return refuse(context, entry, 400, `response_format ${String(format)} is not supported here`);
  }
  const bytes = new Uint8Array(await file.arrayBuffer());
  let heard: { text: string; audioMs: number };
  const started = performance.now();
  try {
    const { pcm, rate } = readWav(bytes);
    heard = { text: context.vocabulary.recognise(pcm, rate), audioMs: (pcm.length / rate) * 1000 };
  } catch (error) {
    return refuse(context, entry, 400, error instanceof Error ? error.message : String(error));
  }
  context.log.note(entry, {
    ...heard,
    workMs: performance.now() - started,
    model: String(form.get("model") ?? ""),
    ...given("language", form.get("language")),
    ...given("prompt", form.get("prompt")),
  });
  const json = format === "json";
  return answer(context, "stt", entry, request, {
    type: json ? "application/json" : "text/plain; charset=utf-8",
    parts: [json ? JSON.stringify({ text: heard.text }) : heard.text],
  });
}

/** A field of the form as an entry of the log, if it was sent. */
function given(name: "language" | "prompt", value: unknown): Partial<LoggedRequest> {
  return typeof value === "string" ? { [name]: value } : {};
}
