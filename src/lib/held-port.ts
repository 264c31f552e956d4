/** Holds a TCP port while no child listens on it, so that no other program gets it meanwhile. */
export class HeldPort implements Disposable {
  readonly #host: string;
  #listener: Bun.TCPSocketListener | undefined;
  #number: number;

  /** Takes a free port of `host`. */
  constructor(host: string) {
    this.#host = host;
    this.#listener = this.#listen(0);
    this.#number = this.#listener.port;
  }

  get number(): number {
    return this.#number;
  }

  /** Lets a child take the port. */
  release(): void {
    this.#listener?.stop(true);
    this.#listener = undefined;
  }

  /**
   * Takes the port again, or another one where a foreign program was faster.
   * @returns whether the port is still the same
   */
  take(): boolean {
    if (this.#listener) return true;
    try {
      this.#listener = this.#listen(this.#number);
      return true;
    } catch {
      this.#listener = this.#listen(0);
      this.#number = this.#listener.port;
      return false;
    }
  }

  [Symbol.dispose](): void {
    this.release();
  }

  /** Closes every connection at once, so that a client knows that nobody serves it. */
  #listen(port: number): Bun.TCPSocketListener {
    return Bun.listen({
      hostname: this.#host,
      port,
      socket: { open: (socket) => void socket.end(), data() {}, error() {} },
    });
  }
}
