import type { Stage } from "../domain/stage.ts";
import { wav } from "../lib/wav.ts";
import { authorization } from "./authorization.ts";
import type { Wish } from "./settle-names.ts";
import { VOWEL_RATE, vowel } from "./vowel.ts";

const PATHS: Readonly<Record<Stage, string>> = {
  stt: "/audio/transcriptions",
  llm: "/chat/completions",
  tts: "/audio/speech",
};

/**
 * Whether a server accepts a model or voice that it does not list: asked by the smallest request.
 * A server that does not answer in time, or not about the names, is believed.
 */
export async function acceptsNames(stage: Stage, wish: Wish, answerMs: number): Promise<boolean> {
  try {
    const response = await fetch(`${wish.baseURL}${PATHS[stage]}`, {
      method: "POST",
      body: bodyOf(stage, wish),
      headers: {
        ...authorization(wish),
        ...(stage !== "stt" && { "Content-Type": "application/json" }),
      },
      redirect: "error",
      signal: AbortSignal.timeout(answerMs),
    });
    const isError =
      response.headers.get("Content-Type")?.includes("json") === true &&
      /"error"\s*:\s*[{"]/.test(await response.text());
    await response.body?.cancel().catch(() => undefined);
    return response.ok ? !isError : ![400, 404, 422].includes(response.status);
  } catch {
    return true;
  }
}

function bodyOf(stage: Stage, { model, voice }: Wish): string | FormData {
  if (stage === "llm") {
    const messages = [{ role: "user", content: "Hi" }];
    return JSON.stringify({ model, messages, max_tokens: 1 });
  }
  if (stage === "tts") {
    return JSON.stringify({ model, voice, input: "Hi.", response_format: "pcm" });
  }
  const form = new FormData();
  form.set("model", model ?? "");
  form.set("file", new File([wav(vowel(), VOWEL_RATE)], "audio.wav", { type: "audio/wav" }));
  return form;
}
