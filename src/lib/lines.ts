/** What comes before a line's end is cut off past this, in characters. */
const LONGEST = 256 * 1024;

/** The lines of a program's output, without their ends, until it closes. */
export async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = (lines.pop() ?? "").slice(0, LONGEST);
    yield* lines;
  }
  if (rest !== "") yield rest;
}
