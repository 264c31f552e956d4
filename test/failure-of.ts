import { Failure } from "../src/errors.ts";

/** The `Failure` that the work ends with. @throws Error when it ends otherwise */
export async function failureOf(work: Promise<unknown>): Promise<Failure> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof Failure) return error;
  throw new Error(`no Failure: ${error}`);
}
