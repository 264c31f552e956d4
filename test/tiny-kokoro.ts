import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { LocalModel } from "../src/domain/model.ts";
import { onnxMetadata } from "../src/lib/onnx-file.ts";

const STYLE = 4;
const MAX_TOKENS = 500;
const FLOAT = 1;
const INT64 = 7;

/**
 * A multilingual Kokoro without weights, which sherpa-onnx loads like a real one: its "sound" is
 * the numbers of the phonemes, and behind them the style of the speaker.
 *
 * @param phonemes the folder of espeak-ng's data
 * @param names of the speakers
 */
export function tinyKokoro(
  folder: string,
  phonemes: string,
  names: readonly string[],
): Extract<LocalModel, { kind: "kokoro" }> {
  const [model, voices, tokens] = ["model.onnx", "voices.bin", "tokens.txt"].map((name) =>
    join(folder, name),
  ) as [string, string, string];
  writeFileSync(
    model,
    Buffer.concat([
      network(),
      onnxMetadata({
        ...{ model_type: "kokoro", version: "2", voice: "en-us", has_espeak: "1" },
        ...{ sample_rate: "24000", n_speakers: `${names.length}` },
        ...{ style_dim: `${MAX_TOKENS},1,${STYLE}`, speaker_names: names.join(",") },
      }),
    ]),
  );
  const styles = names.flatMap((_, speaker) =>
    Array.from({ length: MAX_TOKENS * STYLE }, () => (speaker + 1) / 10),
  );
  writeFileSync(voices, new Uint8Array(Float32Array.from(styles).buffer));
  writeFileSync(
    tokens,
    symbols()
      .map((symbol, id) => `${symbol} ${id}\n`)
      .join(""),
  );
  return { stage: "tts", id: "tiny-kokoro", kind: "kokoro", model, voices, tokens, phonemes };
}

/** `$` for the padding, then what espeak-ng writes phonemes with. */
function symbols(): string[] {
  const range = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, at) => String.fromCodePoint(from + at));
  const ascii = range(0x20, 0x7f).filter((char) => char !== "$");
  return ["$", ...ascii, ...range(0xe0, 0x100), ...range(0x250, 0x2f0), ...range(0x300, 0x340)];
}

/** `Concat(Cast(tokens) * 0.001, style)`, with an input for the speed that nothing reads. */
function network(): Buffer {
  const graph = [
    node("Cast", ["tokens"], "numbers", attribute("to", FLOAT)),
    node("Mul", ["numbers", "scale"], "quiet"),
    node("Concat", ["quiet", "style"], "audio", attribute("axis", 1)),
    text(2, "tiny"),
    bytes(5, [number(2, FLOAT), bytes(4, [floats([0.001])]), text(8, "scale")]),
    bytes(11, tensor("tokens", INT64, [1, "n"])),
    bytes(11, tensor("style", FLOAT, [1, STYLE])),
    bytes(11, tensor("speed", FLOAT, [1])),
    bytes(12, tensor("audio", FLOAT, [1, "m"])),
  ];
  return Buffer.concat([number(1, 8), bytes(8, [text(1, ""), number(2, 13)]), bytes(7, graph)]);
}

function node(type: string, inputs: readonly string[], output: string, ...more: Buffer[]): Buffer {
  return bytes(1, [
    ...inputs.map((name) => text(1, name)),
    text(2, output),
    text(4, type),
    ...more,
  ]);
}

function attribute(name: string, value: number): Buffer {
  return bytes(5, [text(1, name), number(3, value), number(20, 2)]);
}

function tensor(name: string, type: number, dims: readonly (number | string)[]): Buffer[] {
  const shape = dims.map((dim) =>
    bytes(1, [typeof dim === "number" ? number(1, dim) : text(2, dim)]),
  );
  return [text(1, name), bytes(2, [bytes(1, [number(1, type), bytes(2, shape)])])];
}

function floats(values: readonly number[]): Buffer {
  return Buffer.from(Float32Array.from(values).buffer);
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))];
}

function number(field: number, value: number): Buffer {
  return Buffer.from([...varint(field * 8), ...varint(value)]);
}

function text(field: number, value: string): Buffer {
  return bytes(field, [Buffer.from(value)]);
}

function bytes(field: number, parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([...varint(field * 8 + 2), ...varint(body.length)]), body]);
}
