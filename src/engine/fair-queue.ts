interface Job {
  start: () => Promise<void>;
  abandon: () => void;
  signal: AbortSignal | undefined;
}

/**
 * Runs jobs a few at a time. The clients take turns, and each client's own jobs run in order, so
 * that one with many does not keep the others waiting for all of them.
 */
export class FairQueue {
  readonly #atOnce: number;
  /** In the order of the turns to come. */
  readonly #waiting = new Map<string, Job[]>();
  #running = 0;

  /** @param atOnce how many jobs may run at the same time */
  constructor(atOnce = 1) {
    this.#atOnce = atOnce;
  }

  /** Whether a job would have to wait. */
  get busy(): boolean {
    return this.#running >= this.#atOnce;
  }

  /**
   * Runs a job when it is its client's turn.
   *
   * @param signal takes a job that waits out of the queue; one that runs has to look at it itself
   * @returns the job's outcome
   * @throws the signal's reason, or what the job throws
   */
  run<T>(client: string, job: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const entry: Job = {
      start: () => job().then(resolve, reject),
      abandon: () => {
        this.#remove(client, entry);
        reject(signal?.reason);
      },
      signal,
    };
    const line = this.#waiting.get(client);
    if (line) line.push(entry);
    else this.#waiting.set(client, [entry]);
    signal?.addEventListener("abort", entry.abandon, { once: true });
    this.#fill();
    return promise;
  }

  #fill(): void {
    for (let job = this.#next(); job; job = this.#next()) {
      this.#running += 1;
      job.signal?.removeEventListener("abort", job.abandon);
      void job.start().finally(() => {
        this.#running -= 1;
        this.#fill();
      });
    }
  }

  #next(): Job | undefined {
    if (this.busy) return undefined;
    for (const [client, line] of this.#waiting) {
      const job = line.shift();
      // Removed and put in again, it is the last one.
      this.#waiting.delete(client);
      if (line.length > 0) this.#waiting.set(client, line);
      if (job) return job;
    }
    return undefined;
  }

  #remove(client: string, job: Job): void {
    const line = this.#waiting.get(client)?.filter((one) => one !== job) ?? [];
    if (line.length === 0) this.#waiting.delete(client);
    else this.#waiting.set(client, line);
  }
}
