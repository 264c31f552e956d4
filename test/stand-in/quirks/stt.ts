import { pause } from "../faults.ts";
import type { Handler, Quirk } from "../quirks.ts";

const PATH = /^\/v1\/audio\/transcriptions$/;

async function textOf(response: Response): Promise<string | undefined> {
  const { text } = Object(await response.json()) as { text?: unknown };
  return typeof text === "string" ? text : undefined;
}

/** A quirk that writes what the server recognised in another form. */
function form(name: string, report: string, write: (text: string) => string | Response): Quirk {
  const answer = async (request: Request, next: Handler) => {
    const response = await next(request);
    if (!response.ok) return response;
    const written = write((await textOf(response)) ?? "");
    return typeof written === "string"
      ? new Response(written, { headers: { "content-type": "application/json" } })
      : written;
  };
  return { name, report, path: PATH, answer };
}

/** The server hears something else than was said, such as a note on the sound. */
export function hears(words: (text: string) => string): Quirk {
  return form("writes other words", "VocaHQ/vocalinux#334", (text) =>
    JSON.stringify({ text: words(text) }),
  );
}

/** Forms of an answer that hold the same text. */
export const FORMS: readonly Quirk[] = [
  form("a leading space", "VocaHQ/vocalinux#334", (text) => JSON.stringify({ text: ` ${text}` })),
  form("plain text", "tenstorrent/tt-inference-server#1241", (text) => {
    return new Response(`${text}\n`, { headers: { "content-type": "text/plain" } });
  }),
  form("a quoted text", "Nyralei/whisperx-api-server#4", (text) => JSON.stringify(text)),
  form("verbose_json without segments", "speaches-ai/speaches#86", (text) =>
    JSON.stringify({ task: "transcribe", language: "english", text, segments: [] }),
  ),
  form("events of segments", "collabora/WhisperLive#452", (text) => events([{ text }])),
  form("events of a chat", "vllm-project/vllm#49116", (text) =>
    events(text.split(/(?= )/).map((content) => ({ choices: [{ delta: { content } }] }))),
  ),
  form("OpenAI's events", "jundot/omlx#2075", (text) =>
    events([
      { type: "transcript.text.delta", delta: text },
      { type: "transcript.text.done", text },
    ]),
  ),
];

function events(all: readonly object[]): Response {
  const data = [...all.map((event) => JSON.stringify(event)), "[DONE]"];
  return new Response(data.map((one) => `data: ${one}\n\n`).join(""), {
    headers: { "content-type": "text/event-stream" },
  });
}

/**
 * The model is loaded at the first request, and only as long as one is open; a client that hangs up
 * ends the load.
 */
export function loads(ms: number): Quirk & { aborts: number } {
  let loading: Promise<boolean> | undefined;
  let isLoaded = false;
  const quirk = {
    name: "loads its model at the first request",
    report: "ollama/ollama#8006",
    path: PATH,
    aborts: 0,
    async answer(request: Request, next: Handler) {
      if (!isLoaded) {
        loading ??= pause(ms, request.signal);
        isLoaded = await loading;
        loading = undefined;
        if (!isLoaded) {
          quirk.aborts += 1;
          return new Response(null, { status: 499 });
        }
      }
      return next(request);
    },
  };
  return quirk;
}
