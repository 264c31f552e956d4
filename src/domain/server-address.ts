/** Endpoints of OpenAI's API, which people paste with the address. */
const ENDPOINTS =
  /\/(chat\/completions|completions|responses|embeddings|realtime|models(\/[^/]+)*|audio(\/(speech(\/voices)?|transcriptions|translations|voices))?)$/i;
const SCHEME = /^([a-z][a-z0-9+.-]*):\/\//i;
/** What a name of this machine or of a home network looks like. */
const PRIVATE_NAME = /^(\d{1,3}(\.\d{1,3}){3}|\[.*\]|[^.]+|.*\.(local|lan|home|internal|arpa))$/;

/**
 * The address of a server with OpenAI's API as people write it, in the form of `OPENAI_BASE_URL`:
 * with a scheme, and without an endpoint or a slash at its end. Whether the path is right is for
 * the server to say (`providers/find-server.ts`).
 *
 * @returns undefined when it is no address of an HTTP server
 */
export function serverAddress(text: string): string | undefined {
  const written = text.trim().replace(/^(["'<])(.*)["'>]$/, "$2");
  const scheme = SCHEME.exec(written)?.[1]?.toLowerCase();
  if (scheme !== undefined && !/^(https?|wss?)$/.test(scheme)) return undefined;
  if (scheme === undefined && !/^[^\s/:@]+(:\d+)?(\/|$)|^\[/.test(written)) return undefined;
  const url = URL.parse(
    scheme === undefined ? `http://${written}` : written.replace(/^ws/i, "http"),
  );
  if (url === null || url.hostname === "") return undefined;
  if (scheme === undefined && url.port === "" && !PRIVATE_NAME.test(url.hostname)) {
    url.protocol = "https:";
  }
  // The address that a server listens on when it takes requests to all of its addresses.
  if (url.hostname === "0.0.0.0") url.hostname = "127.0.0.1";
  if (url.hostname === "[::]") url.hostname = "[::1]";
  url.pathname = url.pathname.replaceAll(/\/{2,}/g, "/");
  return withoutSlash(url.href).replace(/^[^?#]*/, (address) => withoutEndpoint(address));
}

function withoutEndpoint(address: string): string {
  return withoutSlash(withoutSlash(address).replace(ENDPOINTS, ""));
}

function withoutSlash(address: string): string {
  return address.replace(/\/+$/, "");
}

const VERSION = /\/v\d+[a-z0-9]*$/;

/** Where a server with this address may have OpenAI's API, the most likely first. */
export function apiAddresses(address: string): string[] {
  const { origin, pathname } = new URL(address);
  const path = withoutSlash(pathname);
  const under = (base: string, ...ends: string[]) => ends.map((end) => `${origin}${base}${end}`);
  const lower = path.toLowerCase();
  const parent = lower.replace(VERSION, "");
  const guesses =
    path === ""
      ? under("", "/v1", "", "/api/v1", "/openai/v1", "/api/openai/v1", "/engines/v1", "/api")
      : VERSION.test(lower)
        ? [...under(path, ""), ...under(lower, "", "/openai"), ...under(parent, "", "/openai/v1")]
        : [
            ...under(path, "", "/v1"),
            ...under(lower, "", "/v1", "/openai/v1"),
            ...under("", "/v1"),
          ];
  return [...new Set(guesses)];
}
