/** Shares the result of `make` among all calls. After a failure the next call tries again. */
export function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= Promise.try(make).catch((error) => {
      made = undefined;
      throw error;
    });
    return made;
  };
}

/** The same as `once`, for work that is not asynchronous. */
export function onceSync<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

/** A resource that is created when it is first needed. */
export interface Lazy<T> extends AsyncDisposable {
  /** Creates the resource at the first call, and again after a failure. Rejects after disposal. */
  get(): Promise<T>;
}

/** @param close releases the resource on disposal, if it was ever created */
export function lazy<T>(create: () => Promise<T>, close: (resource: T) => Promise<void>): Lazy<T> {
  const created = once(create);
  let latest: Promise<T> | undefined;
  let closing: Promise<void> | undefined;

  async function closeCreated(): Promise<void> {
    const outcome = await latest?.then(
      (resource) => ({ resource }),
      // Its caller has the error, and nothing was opened.
      () => undefined,
    );
    if (outcome) await close(outcome.resource);
  }

  return {
    get: () => {
      if (closing !== undefined) return Promise.reject(new Error("it is closed"));
      latest = created();
      return latest;
    },
    [Symbol.asyncDispose]: () => {
      closing ??= closeCreated();
      return closing;
    },
  };
}
