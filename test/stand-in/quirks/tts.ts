import { z } from "zod";
import { pcmOf } from "../../../src/lib/wav.ts";
import { type Encoding, encode } from "../../audio/encode.ts";
import type { Handler, Quirk } from "../quirks.ts";

const PATH = /^\/v1\/audio\/speech$/;
/** Of the stand-in's own speech, in Hz. */
const RATE = 24_000;

/** How the bytes of an answer arrive. */
interface Sending {
  type?: string;
  /** The lengths of the first parts; the rest comes as a whole. */
  cuts?: readonly number[];
  /** What the server waits for before it sends the rest. */
  until?: Promise<unknown>;
}

/** The voice sends this format, whatever it is asked for. */
export function sends(
  name: string,
  report: string,
  encoding: Encoding,
  sending: Sending = {},
): Quirk {
  return sendsBytes(name, report, (pcm) => encode(pcm, RATE, encoding), sending);
}

/** The voice sends what `bytesOf` makes of its speech, whatever it is asked for. */
export function sendsBytes(
  name: string,
  report: string,
  bytesOf: (pcm: Int16Array) => Uint8Array,
  sending: Sending = {},
): Quirk {
  return {
    name: `the voice sends ${name}`,
    report,
    path: PATH,
    async answer(request, next) {
      const speech = await asPcm(request, next);
      if (!speech.ok) return speech;
      return inParts(bytesOf(pcmOf(await speech.bytes())), sending);
    },
  };
}

/** The voice knows no other formats than these, and refuses the rest. */
export function sendsOnly(formats: readonly string[], status: number, message: string): Quirk {
  return {
    name: `the voice sends only ${formats.join(" and ")}, and answers ${status} to the rest`,
    report: "fishaudio/fish-speech#485",
    path: PATH,
    async answer(request, next) {
      if (formats.includes(await formatOf(request))) return next(request);
      return Response.json({ detail: message }, { status });
    },
  };
}

/** The voice answers what is no sound, with a good status. */
export function answersInstead(name: string, report: string, body: string, type: string): Quirk {
  return {
    name: `the voice answers ${name}`,
    report,
    path: PATH,
    answer: async () => new Response(body, { headers: { "Content-Type": type } }),
  };
}

/** The voice is loaded at the first request, which takes so long. */
export function loads(ms: number): Quirk {
  let loaded: Promise<void> | undefined;
  return {
    name: `the voice takes ${ms} ms to load`,
    report: "PeoplePlusAI/sunva-ai#52",
    path: PATH,
    async answer(request, next) {
      loaded ??= Bun.sleep(ms);
      await loaded;
      return next(request);
    },
  };
}

/** The voice sends zeros that last as long as the speech would. */
export const sendsSilence = sendsBytes(
  "silence",
  "ARTPARK-SAHAI-ORG/calibrate#112",
  (pcm) => new Uint8Array(pcm.byteLength),
  { type: "audio/pcm" },
);

/** The deviation, when it is asked for this format only. */
export function onlyFor(format: string, quirk: Quirk): Quirk {
  return {
    ...quirk,
    answer: async (request, next) =>
      (await formatOf(request)) === format ? quirk.answer(request, next) : next(request),
  };
}

/** No deviation: notes which formats are asked for. */
export function noting(formats: string[]): Quirk {
  return {
    name: "the voice is as it is",
    report: "none",
    path: PATH,
    async answer(request, next) {
      formats.push(await formatOf(request));
      return next(request);
    },
  };
}

const speechRequest = z.looseObject({ response_format: z.string().default("mp3") });

async function formatOf(request: Request): Promise<string> {
  return speechRequest.parse(await request.clone().json()).response_format;
}

async function asPcm(request: Request, next: Handler): Promise<Response> {
  const body = { ...speechRequest.parse(await request.json()), response_format: "pcm" };
  const { url, method, headers, signal } = request;
  return next(new Request(url, { method, headers, signal, body: JSON.stringify(body) }));
}

function inParts(bytes: Uint8Array, { type = "audio/pcm", cuts = [], until }: Sending) {
  const body = new ReadableStream<Uint8Array>({
    async start(controller) {
      let at = 0;
      for (const length of cuts) {
        controller.enqueue(bytes.slice(at, at + length));
        at += length;
        // Each part is sent by itself.
        await Bun.sleep(0);
      }
      await until;
      controller.enqueue(bytes.slice(at));
      controller.close();
    },
  });
  return new Response(body, { headers: { "Content-Type": type } });
}
