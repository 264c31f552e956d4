/** Answers a request as a server of OpenAI's API does. */
export type Handler = (request: Request) => Promise<Response>;

/**
 * One way in which a real server deviates. It stands between the client and the well-behaved
 * stand-in and changes what passes, so that several can be combined.
 */
export interface Quirk {
  /** What the server does, for test names. */
  name: string;
  /** The public report that it comes from, as `owner/repository#number` or an address. */
  report: string;
  /** The paths that it concerns, such as `/v1/chat/completions`. */
  path: RegExp;
  /** Answers in the place of `next`, or with what `next` answers. */
  answer(request: Request, next: Handler): Promise<Response>;
}

/** The handler with the quirks around it; the first in the list is the nearest to the client. */
export function withQuirks(handler: Handler, quirks: readonly Quirk[]): Handler {
  return quirks.reduceRight<Handler>(
    (next, quirk) => (request) =>
      quirk.path.test(new URL(request.url).pathname) ? quirk.answer(request, next) : next(request),
    handler,
  );
}
