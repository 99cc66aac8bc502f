// Writes text to a stream, as UTF-8 in buffers that are used again. A stream that is given text makes a Buffer for each:
// memory that is mapped, touched for the first time and given back some hundred times a second where much is written,
// and that V8 collects garbage for. Whatever the stream makes of the order of writes stays as it is.

/** UTF-8 has no more for a character of a JavaScript text (a pair of surrogates: four for two). */
const BYTES_PER_CHARACTER = 3;
const BUFFER_BYTES = 256 * 1024;
/** Longer texts are left to the stream. */
const TEXT_LENGTH_MAX = Math.floor(BUFFER_BYTES / BYTES_PER_CHARACTER);
/** More are not made: texts that wait for somebody slow are left to the stream, whose buffers are of their size. */
const BUFFERS_MAX = 2;

/** A stream, as far as it is needed here. */
interface ByteStream {
  readonly writableLength: number;
  /** @param done called when this and what came before is out, or could not be written */
  write(content: string | Uint8Array, done?: (error?: Error | null) => void): unknown;
}

export class TextWriter {
  readonly #stream: ByteStream;
  readonly #spares: Buffer[] = [];
  #made = 0;

  constructor(stream: ByteStream) {
    this.#stream = stream;
  }

  /** Bytes that wait for the stream. */
  get writableLength(): number {
    return this.#stream.writableLength;
  }

  /** @param done as of the stream */
  write(text: string, done?: (error?: Error | null) => void): void {
    const bytes = text.length > TEXT_LENGTH_MAX ? undefined : this.#spare();
    if (bytes === undefined) {
      this.#stream.write(text, done);
      return;
    }
    this.#stream.write(bytes.subarray(0, bytes.write(text)), (error) => {
      this.#spares.push(bytes);
      done?.(error);
    });
  }

  #spare(): Buffer | undefined {
    const spare = this.#spares.pop();
    if (spare !== undefined || this.#made >= BUFFERS_MAX) return spare;
    this.#made++;
    return Buffer.allocUnsafeSlow(BUFFER_BYTES);
  }
}
