import type OpenAI from "openai";
import { statusOf } from "../errors.ts";
import { readTranscript, type Transcript } from "./transcript-answer.ts";

export interface TranscriberOptions {
  /** The client of the server, which has its deadlines. */
  client: OpenAI;
  model: string;
  /** The code by which recognisers know the language; null: the server detects it. */
  language: string | null;
  /** Words and names that the server should expect. */
  keyterms: readonly string[];
  /** Fields that the model is known to refuse; what is learned is added. */
  refused: Set<string>;
}

/** Fields that a model may refuse, in the order in which they are left out. */
const OPTIONAL = ["prompt", "language"] as const;

/** Transcribes through `POST /audio/transcriptions` of one server. */
export class Transcriber {
  readonly #options: TranscriberOptions;

  constructor(options: TranscriberOptions) {
    this.#options = options;
  }

  get model(): string {
    return this.#options.model;
  }

  /**
   * @param audio a WAV file
   * @throws the signal's reason, or what `describeProviderError` understands
   */
  async transcribe(audio: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<Transcript> {
    const refused = new Set(this.#options.refused);
    for (;;) {
      const fields = this.#optionalFields(refused);
      try {
        const response = await this.#send(audio, fields, signal);
        const transcript = readTranscript(await response.text());
        for (const field of refused) this.#options.refused.add(field);
        return transcript;
      } catch (error) {
        const isRefusal = [400, 422].includes(statusOf(error) ?? 0);
        const next = OPTIONAL.find((field) => field in fields);
        if (!isRefusal || next === undefined) throw error;
        refused.add(next);
      }
    }
  }

  #optionalFields(refused: ReadonlySet<string>): { prompt?: string; language?: string } {
    const { language, keyterms } = this.#options;
    const prompt = promptOf(keyterms);
    return {
      ...(language && !refused.has("language") ? { language } : {}),
      ...(prompt && !refused.has("prompt") ? { prompt } : {}),
    };
  }

  #send(audio: Uint8Array<ArrayBuffer>, fields: object, signal: AbortSignal): Promise<Response> {
    const { client, model } = this.#options;
    const file = new File([audio], "audio.wav", { type: "audio/wav" });
    return client.audio.transcriptions
      .create({ file, model, response_format: "json", ...fields }, { signal })
      .asResponse();
  }
}

/** A recogniser's prompt: it continues a text in which the words occurred. */
export function promptOf(keyterms: readonly string[]): string | undefined {
  return keyterms.length === 0 ? undefined : `${keyterms.join(", ")}.`;
}
