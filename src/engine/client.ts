/** By this header a program that speaks for several people says for whom a request is. */
const CLIENT_HEADER = "x-client-id";

/**
 * Whose turn a request takes: of the person that the header or OpenAI's field `user` names;
 * undefined for one that stands for itself.
 */
export function clientOf(request: Request, user?: string | null): string | undefined {
  return request.headers.get(CLIENT_HEADER)?.slice(0, 256) || user || undefined;
}
