/** Names of the machine itself; nothing else is there for a browser on another machine. */
function isLoopback(host: string): boolean {
  return host === "localhost" || host === "[::1]" || /^127(\.\d+){3}$/.test(host);
}

/**
 * The LiveKit URL to connect to from this page. The embedded server is known to Parley by its
 * loopback address; a page that was opened by another name reaches it by that name.
 */
export function liveKitUrlFor(url: string, pageHost: string): string {
  const parsed = new URL(url);
  if (!isLoopback(parsed.hostname) || isLoopback(pageHost)) return url;
  parsed.hostname = pageHost;
  return parsed.href;
}
