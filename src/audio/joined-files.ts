import type { Audio } from "../lib/wav.ts";
import { joined, type SoundDecoder } from "./sound-decoder.ts";

/** A decoder looks at so many bytes at first to see what they are. */
const FIRST_BYTES = 16;

/**
 * Decodes files that follow each other in one answer, as servers send that speak sentence by
 * sentence. Each gets a decoder of its own, since one would take the next beginning for damage.
 */
export class JoinedFiles implements SoundDecoder {
  readonly #make: () => SoundDecoder;
  readonly #beginnings: readonly Buffer[];
  readonly #longest: number;
  #decoder: SoundDecoder;
  #bytes: Uint8Array = new Uint8Array();
  /** Whether the current file has begun, so that another beginning is that of the next. */
  #hasBegun = false;

  /** @param beginnings the bytes with which a file begins, too many to occur by chance */
  constructor(make: () => SoundDecoder, beginnings: readonly string[]) {
    this.#make = make;
    this.#beginnings = beginnings.map((text) => Buffer.from(text, "latin1"));
    this.#longest = Math.max(...this.#beginnings.map(({ length }) => length));
    this.#decoder = make();
  }

  async push(bytes: Uint8Array): Promise<Audio[]> {
    this.#bytes = joined(this.#bytes, bytes);
    const sound: Audio[] = [];
    for (let next = this.#nextBeginning(); next !== undefined; next = this.#nextBeginning()) {
      sound.push(...(await this.#decode(next)), ...(await this.#decoder.end()));
      this.#decoder.close();
      this.#decoder = this.#make();
      this.#hasBegun = false;
    }
    // What may be a beginning waits until there is enough of it.
    sound.push(...(await this.#decode(this.#bytes.length - this.#longest + 1)));
    return sound;
  }

  async end(): Promise<Audio[]> {
    const sound = await this.#decode(this.#bytes.length);
    return [...sound, ...(await this.#decoder.end())];
  }

  close(): void {
    this.#decoder.close();
  }

  #nextBeginning(): number | undefined {
    const buffer = Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.byteLength);
    const found = this.#beginnings
      .map((text) => buffer.indexOf(text, this.#hasBegun ? 0 : 1))
      .filter((at) => at >= 0);
    return found.length > 0 ? Math.min(...found) : undefined;
  }

  async #decode(count: number): Promise<Audio[]> {
    if (count < (this.#hasBegun ? 1 : FIRST_BYTES)) return [];
    const part = this.#bytes.slice(0, count);
    this.#bytes = this.#bytes.slice(count);
    this.#hasBegun = true;
    return this.#decoder.push(part);
  }
}
