/**
 * Whether a browser page of this origin may use Parley: Parley's own, or one that is configured.
 *
 * @param origin the request's `Origin`
 * @param host the request's `Host`
 * @param allowed configured origins; a port may be `*`
 */
export function isAllowedOrigin(
  origin: string,
  host: string | undefined,
  allowed: string[],
): boolean {
  let url: URL;
  try {
    url = new URL(origin);
  } catch {
    return false;
  }
  if (host !== undefined && url.host === host) return true;
  return allowed.some((pattern) => {
    if (!pattern.endsWith(":*")) return pattern === url.origin;
    return pattern.slice(0, -2) === `${url.protocol}//${url.hostname}`;
  });
}
