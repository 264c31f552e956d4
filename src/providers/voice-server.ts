import type OpenAI from "openai";
import { openSound } from "../audio/open-sound.ts";
import { NotPlayable } from "../audio/sound-decoder.ts";
import { messageOf, statusOf } from "../errors.ts";
import type { Audio } from "../lib/wav.ts";
import { AnswerError, webPageError } from "./provider-errors.ts";

/** What a server may be asked for. `pcm` comes first, because it is there soonest. */
const FORMATS = ["pcm", "wav", "mp3"] as const;
type Format = (typeof FORMATS)[number];

/** Samples up to this value are silence: a voice that fails sends zeros or the noise of rounding. */
const SILENCE_PEAK = 16;
/** So much silence before the first sound is no pause, in seconds. */
const MAX_SILENCE_S = 10;

/** A spoken text of which the first sound is there. */
export interface Speech {
  /** What the server sends, such as "WAV". */
  format: string;
  /** Mono, in pieces with a rate each. They must be read to the end or closed. */
  pieces: AsyncGenerator<Audio, void, undefined>;
}

export interface VoiceServerOptions {
  client: OpenAI;
  model: string;
  voice: string;
}

/**
 * A server with OpenAI's `/audio/speech`. What it answers is decoded whatever format it is in; a
 * server that cannot send what it was asked for is asked for another format, once for all requests.
 */
export class VoiceServer {
  readonly #options: VoiceServerOptions;
  #format: Format = "pcm";
  /** Whether it is known what to ask for, or that nothing helps. */
  #isSettled = false;

  constructor(options: VoiceServerOptions) {
    this.#options = options;
  }

  /**
   * Has a text spoken, and resolves when the first sound is there.
   *
   * @throws AnswerError if no sound comes; what the client throws
   */
  async speak(text: string, signal?: AbortSignal): Promise<Speech> {
    const others = FORMATS.filter((format) => format !== this.#format);
    const failures: unknown[] = [];
    for (const format of [this.#format, ...others]) {
      try {
        const speech = await this.#request(text, format, signal);
        this.#format = format;
        this.#isSettled = true;
        return speech;
      } catch (error) {
        failures.push(error);
        if (signal?.aborted || this.#isSettled || !isAboutFormat(error)) break;
      }
    }
    // A server that breaks may do so for another reason, which passes.
    const isRefused = failures.every((error) => (statusOf(error) ?? 0) < 500);
    if (failures.length === FORMATS.length && isRefused) this.#isSettled = true;
    // What came says more than that another format was refused.
    throw asAnswerError(failures.find((error) => error instanceof NotPlayable) ?? failures[0]);
  }

  async #request(text: string, format: Format, signal?: AbortSignal): Promise<Speech> {
    const { client, model, voice } = this.#options;
    const response = await client.audio.speech.create(
      { input: text, model, voice, response_format: format },
      { signal: signal ?? null },
    );
    const isMute = !hasWords(text);
    const sound = await openSound(response.body ?? nothing(), contentTypeOf(response)).catch(
      (error: unknown) => {
        if (!isMute || !(error instanceof NotPlayable) || error.reason !== "empty") throw error;
        return { format: "PCM", pieces: nothing() };
      },
    );
    try {
      const begin = await untilAudible(sound.pieces, isMute);
      return { format: sound.format, pieces: continued(begin, sound.pieces) };
    } catch (error) {
      await sound.pieces.return();
      throw error;
    }
  }
}

/** Some servers state the rate of bare samples in a header of its own. */
function contentTypeOf({ headers }: Response): string {
  const type = headers.get("content-type") ?? "";
  const rate = [...headers].find(([name]) => /sample-?rate$/.test(name))?.[1];
  return rate === undefined || type.includes("rate=") ? type : `${type};rate=${rate}`;
}

async function* nothing(): AsyncGenerator<never, void, undefined> {}

/** Emoji and punctuation may rightly be spoken as nothing. */
function hasWords(text: string): boolean {
  return /[\p{L}\p{N}]/u.test(text);
}

/** The pieces up to the first that can be heard. */
async function untilAudible(
  pieces: AsyncGenerator<Audio, void, undefined>,
  mayBeSilent: boolean,
): Promise<Audio[]> {
  const begin: Audio[] = [];
  let seconds = 0;
  for (;;) {
    const { done, value } = await pieces.next();
    if (done && mayBeSilent) return begin;
    if (done) throw new AnswerError(begin.length === 0 ? "empty" : "silent");
    begin.push(value);
    seconds += value.pcm.length / value.rate;
    if (value.pcm.some((sample) => Math.abs(sample) > SILENCE_PEAK)) return begin;
    if (seconds > MAX_SILENCE_S && !mayBeSilent) throw new AnswerError("silent");
  }
}

async function* continued(
  begin: Audio[],
  rest: AsyncGenerator<Audio, void, undefined>,
): AsyncGenerator<Audio, void, undefined> {
  try {
    yield* begin;
    yield* rest;
  } catch (error) {
    throw asAnswerError(error);
  } finally {
    await rest.return();
  }
}

const TEXTS: ReadonlySet<string | undefined> = new Set(["HTML", "XML", "JSON", "text"]);
/** What servers answer to a format that they do not know; some of them break. */
const REFUSALS: ReadonlySet<number | undefined> = new Set([400, 406, 415, 422, 500, 501]);

/** Whether another format may help: by the server's words, or else by the kind of failure. */
function isAboutFormat(error: unknown): boolean {
  const refused = error instanceof NotPlayable ? error : undefined;
  const words = refused ? JSON.stringify(refused.body ?? "") : messageOf(error);
  if (/format|pcm|codec/i.test(words)) return statusOf(error) !== 429;
  // Some servers answer nothing in one format and say what is wrong in another.
  if (refused) return refused.reason !== "error_body" && !TEXTS.has(refused.what);
  return REFUSALS.has(statusOf(error)) && !/voice|speaker|model/i.test(words);
}

function asAnswerError(error: unknown): unknown {
  if (!(error instanceof NotPlayable)) return error;
  const { reason, what, body } = error;
  if (what === "HTML") return webPageError();
  return new AnswerError(reason, what, body === undefined ? undefined : { body });
}
