import type { StageProviders } from "../../domain/stage.ts";
import { authorization, realtimeUrl } from "../../providers/provider-check.ts";
import { sttModelFor } from "../../session/session-plan.ts";
import { vowel } from "./tone.ts";

const ANSWER_MS = 7000;

/**
 * Transcribes half a second over OpenAI's realtime WebSocket.
 *
 * @returns ms from the end of the audio to the answer
 * @throws Error in words of ours, as a server's may quote the key
 */
export async function transcribeRealtime(stt: StageProviders["stt"]): Promise<number> {
  const model = sttModelFor(stt, true);
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const socket = new WebSocket(realtimeUrl(stt.baseURL, model), { headers: authorization(stt) });
  const timer = setTimeout(() => reject(new Error("timeout: no transcript came")), ANSWER_MS);
  let sentAt = 0;
  socket.onopen = () => {
    for (const message of request(model)) socket.send(JSON.stringify(message));
    sentAt = performance.now();
  };
  socket.onmessage = ({ data }) => {
    const { type, status } = outcomeOf(String(data));
    if (type?.endsWith("input_audio_transcription.completed")) resolve(performance.now() - sentAt);
    else if (type === "error" || type?.endsWith("transcription.failed")) {
      reject(Object.assign(new Error("the server reported an error"), { status }));
    }
  };
  socket.onclose = () => reject(new Error("the connection broke"));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    socket.close();
  }
}

function request(model: string): object[] {
  const audio = Buffer.from(vowel().buffer).toString("base64");
  const input = { format: { type: "audio/pcm", rate: 24_000 }, transcription: { model } };
  return [
    // Without turn detection the server waits for the commit, whatever it thinks of the sound.
    {
      type: "session.update",
      session: { type: "transcription", audio: { input: { ...input, turn_detection: null } } },
    },
    { type: "input_audio_buffer.append", audio },
    { type: "input_audio_buffer.commit" },
  ];
}

/** Codes of OpenAI's that stand for a status. */
const STATUSES: Readonly<Record<string, number>> = {
  invalid_api_key: 401,
  model_not_found: 404,
  rate_limit_exceeded: 429,
  insufficient_quota: 429,
};

function outcomeOf(text: string): { type: string | undefined; status: number } {
  const message: unknown = JSON.parse(text);
  const type = field(message, "type");
  const code = field(field(message, "error"), "code");
  return {
    type: typeof type === "string" ? type : undefined,
    status: STATUSES[String(code)] ?? 500,
  };
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}
