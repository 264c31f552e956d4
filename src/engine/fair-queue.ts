interface Job {
  start: () => Promise<void>;
  /** Removes the job from the queue and rejects its promise. */
  abandon: () => void;
  signal: AbortSignal | undefined;
}

/**
 * Runs a limited number of jobs at a time. Clients take turns, and each client's own jobs run in
 * order, so that a client with many jobs does not delay the others by all of them.
 */
export class FairQueue {
  readonly #concurrency: number;
  /** By client, in the order of their next turns. */
  readonly #waiting = new Map<string, Job[]>();
  #running = 0;

  /** @param concurrency how many jobs may run at the same time */
  constructor(concurrency = 1) {
    this.#concurrency = concurrency;
  }

  /** Whether a job would have to wait. */
  get busy(): boolean {
    return this.#running >= this.#concurrency;
  }

  /**
   * Runs a job when it is its client's turn.
   *
   * @param signal removes a waiting job from the queue; a running job must observe it itself
   * @returns the job's outcome
   * @throws the signal's reason, or what the job throws
   */
  run<T>(client: string, job: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const entry: Job = {
      start: () => Promise.try(job).then(resolve, reject),
      abandon: () => {
        this.#remove(client, entry);
        reject(signal?.reason);
      },
      signal,
    };
    const jobs = this.#waiting.get(client);
    if (jobs) jobs.push(entry);
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
    for (const [client, jobs] of this.#waiting) {
      const job = jobs.shift();
      // A Map iterates in insertion order, so inserting the client again puts it last.
      this.#waiting.delete(client);
      if (jobs.length > 0) this.#waiting.set(client, jobs);
      if (job) return job;
    }
    return undefined;
  }

  #remove(client: string, job: Job): void {
    const jobs = this.#waiting.get(client)?.filter((one) => one !== job) ?? [];
    if (jobs.length === 0) this.#waiting.delete(client);
    else this.#waiting.set(client, jobs);
  }
}
