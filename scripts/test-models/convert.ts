import { z } from "zod";

const piperVoice = z.object({
  audio: z.object({ sample_rate: z.number() }),
  espeak: z.object({ voice: z.string() }),
  num_speakers: z.number(),
  language: z.object({ name_english: z.string() }),
  phoneme_id_map: z.record(z.string(), z.array(z.number())),
});

/**
 * The bytes to append to a Piper voice's .onnx, so that sherpa-onnx finds its properties there
 * (https://k2-fsa.github.io/sherpa/onnx/tts/piper.html). Protobuf allows fields to be appended.
 *
 * @param voice the voice's .onnx.json
 */
export function piperMetadata(voice: unknown): Uint8Array {
  const { audio, espeak, num_speakers, language } = piperVoice.parse(voice);
  const properties = {
    model_type: "vits",
    comment: "piper",
    language: language.name_english,
    voice: espeak.voice,
    has_espeak: "1",
    n_speakers: String(num_speakers),
    sample_rate: String(audio.sample_rate),
  };
  return onnxMetadata(properties);
}

/** The bytes to append to an .onnx file to give it these properties. */
export function onnxMetadata(properties: Readonly<Record<string, string>>): Uint8Array {
  const entries = Object.entries(properties).map(([key, value]) => {
    const pair = Buffer.concat([field(1, Buffer.from(key)), field(2, Buffer.from(value))]);
    return field(METADATA_PROPS, pair);
  });
  return Buffer.concat(entries);
}

/** The field number of `metadata_props` in ONNX's ModelProto. */
const METADATA_PROPS = 14;
const LENGTH_DELIMITED = 2;

/** Encodes a protobuf field whose content is shorter than 128 bytes. */
function field(number: number, content: Uint8Array): Buffer {
  if (content.length > 127) throw new Error("the content is too long for a length of one byte");
  return Buffer.concat([Buffer.from([(number << 3) | LENGTH_DELIMITED, content.length]), content]);
}

/** Converts a Piper voice's phonemes to lines of `SYMBOL ID`. @param voice the voice's .onnx.json */
export function piperTokens(voice: unknown): string {
  const entries = Object.entries(piperVoice.parse(voice).phoneme_id_map);
  return entries.map(([symbol, [id]]) => `${symbol} ${id}\n`).join("");
}

/**
 * Converts Moonshine's tokenizer.bin to lines of `BASE64 ID`. The file contains, for each token, its
 * length (one byte, or two if the high bit of the first is set) and its bytes.
 */
export function moonshineTokens(tokenizer: Uint8Array): string {
  const lines: string[] = [];
  for (let at = 0; at < tokenizer.length; ) {
    let length = tokenizer[at++] ?? 0;
    if (length >= 128) length = length - 128 + (tokenizer[at++] ?? 0) * 128;
    const token = tokenizer.subarray(at, at + length);
    lines.push(`${Buffer.from(token).toString("base64")} ${lines.length}\n`);
    at += length;
  }
  return lines.join("");
}
