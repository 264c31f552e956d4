import { NotPlayable } from "./sound-decoder.ts";

/** Sound in text is a third longer than its bytes; this is some minutes of it. */
const MAX_TEXT = 64 << 20;
/** Shorter texts are names and codes, unless their field says that they are sound. */
const MIN_BASE64 = 64;

/**
 * The sound inside a text answer: base64 in JSON, in lines of JSON, or in server-sent events such
 * as OpenAI's `speech.audio.delta`.
 *
 * @throws NotPlayable that says what the text is, if it has no sound
 */
export async function* soundInText(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const decoder = new TextDecoder();
  let text = "";
  let begin: string | undefined;
  let found = false;
  const sounds = function* (part: string) {
    for (const sound of audioIn(part)) {
      found = true;
      yield sound;
    }
  };
  for await (const chunk of chunks) {
    text += decoder.decode(chunk, { stream: true });
    begin ??= text.length >= 16 ? text : undefined;
    if (text.length > MAX_TEXT) throw new NotPlayable("format", nameOf(text));
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", end + 1)) {
      const line = text.slice(0, end);
      if (parsed(line) === undefined && !isEventField(line)) continue;
      yield* sounds(line);
      text = text.slice(end + 1);
      end = -1;
    }
  }
  yield* sounds(text);
  if (!found) throw new NotPlayable("format", nameOf(begin ?? text));
}

/** Lines of server-sent events without data, and empty ones. */
function isEventField(line: string): boolean {
  return /^\s*(event|id|retry)?:|^data:\s*(\[DONE\])?\s*$|^\s*$/.test(line);
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line.replace(/^\s*data:/, ""));
  } catch {
    return undefined;
  }
}

function* audioIn(line: string): Generator<Uint8Array> {
  const value = parsed(line);
  const sound = base64In(value);
  if (sound !== undefined) yield Buffer.from(sound, "base64");
  else if (isError(value)) {
    throw new NotPlayable("error_body", undefined, value);
  }
}

function base64In(value: unknown, name = "", depth = 0): string | undefined {
  if (typeof value === "string") {
    const text = value.replace(/^data:[^,]*;base64,/, "");
    const isNamed = /audio|delta/i.test(name);
    if (text.length < (isNamed ? 4 : MIN_BASE64)) return undefined;
    return /^[A-Za-z0-9+/_\s-]+={0,2}\s*$/.test(text) ? text : undefined;
  }
  if (typeof value !== "object" || value === null || depth > 4) return undefined;
  for (const [key, part] of Object.entries(value)) {
    if (/transcript|text|align|^(id|type|error|detail|message)$/i.test(key)) continue;
    const found = base64In(part, Array.isArray(value) ? name : key, depth + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}

function isError(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const fields = Object.entries(value).filter(([, content]) => content !== null);
  return fields.some(
    ([key, content]) =>
      /^(error|errors|detail|details|message|msg|exception|traceback)$/i.test(key) ||
      (key === "type" && content === "error") ||
      (key === "success" && content === false),
  );
}

function nameOf(text: string): string {
  const begin = text.trimStart().slice(0, 200).toLowerCase();
  if (
    begin.startsWith("<!doctype html") ||
    begin.startsWith("<html") ||
    /<(head|body)/.test(begin)
  ) {
    return "HTML";
  }
  if (begin.startsWith("<")) return "XML";
  return /^[{[]/.test(begin) ? "JSON" : "text";
}
