import { Failure } from "../errors.ts";
import { type Watchdog, watchdog } from "./watchdog.ts";

/** The server did not answer at all, rather than refuse. */
export class Unreachable extends Failure {}

/**
 * Asks for a file; proxies of the environment are used.
 * @throws Failure when the server cannot be reached or refuses; a status in `accepted` is answered
 */
export async function request(
  url: string,
  watch: Watchdog,
  options: { headers?: Record<string, string>; accepted?: readonly number[] } = {},
): Promise<Response> {
  const { headers = {}, accepted = [] } = options;
  let response: Response;
  try {
    response = await fetch(url, { headers, signal: watch.signal });
  } catch (error) {
    watch.caller?.throwIfAborted();
    const { host } = new URL(url);
    throw new Unreachable("unavailable", `${host} cannot be reached: ${watch.reason(error)}`, {
      cause: error,
    });
  }
  watch.alive();
  if (!response.ok && !accepted.includes(response.status)) {
    await response.body?.cancel();
    throw new Failure("unavailable", `${url} answered ${response.status}`);
  }
  return response;
}

/** Downloads a small text. @throws Failure that says what went wrong */
export async function downloadText(
  url: string,
  options: { signal?: AbortSignal | undefined; stallMs?: number | undefined },
): Promise<string> {
  using watch = watchdog(options);
  const response = await request(url, watch);
  try {
    return await response.text();
  } catch (error) {
    options.signal?.throwIfAborted();
    throw new Failure("unavailable", `${url} broke off: ${watch.reason(error)}`, { cause: error });
  }
}
