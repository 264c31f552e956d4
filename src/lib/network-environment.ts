import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getCACertificates } from "node:tls";
import { isLoopback } from "./loopback.ts";
import { setNatively } from "./native-environment.ts";

type Variables = Record<string, string | undefined>;

/** Addresses of this machine in the form of `NO_PROXY`; `localhost` includes the names under it. */
const OWN_ADDRESSES = ["localhost", "127.0.0.1", "127.0.0.0/8", "::1"];
const PROXIES = ["http_proxy", "https_proxy", "all_proxy"];

/**
 * Prepares the variables that decide how Parley reaches others; called once, before it does.
 *
 * - A proxy is for other machines: without an exception, Bun sends even requests to loopback
 *   addresses to it. The user's own exceptions stay.
 * - Certificates are trusted as the system trusts them, besides those in `NODE_EXTRA_CA_CERTS`.
 * - rtc-node reads the variables that the process began with. It ignores `NO_PROXY` for its
 *   WebSocket, and it does not know `NODE_EXTRA_CA_CERTS`.
 *
 * @param variables usually `process.env`; changed
 */
export function prepareNetwork(variables: Variables): void {
  const exceptions = proxyExceptions(variables);
  const shared = {
    NO_PROXY: exceptions,
    no_proxy: exceptions,
    NODE_USE_SYSTEM_CA: variables["NODE_USE_SYSTEM_CA"] ?? "1",
  };
  Object.assign(variables, shared);
  const native = new Map<string, string | undefined>(Object.entries(shared));
  const { LIVEKIT_URL: livekit, NODE_EXTRA_CA_CERTS: extra, SSL_CERT_FILE: bundle } = variables;
  if (livekit === undefined || isException(livekit, exceptions)) {
    for (const name of PROXIES) native.set(name, undefined).set(name.toUpperCase(), undefined);
  }
  const certificates = extra && certificateFile(extra, bundle);
  if (certificates) native.set("SSL_CERT_FILE", certificates);
  setNatively(native);
}

/** The user's exceptions and this machine's addresses; `*` excepts everything. */
function proxyExceptions(variables: Variables): string {
  const lists = [variables["NO_PROXY"], variables["no_proxy"]];
  const own = lists.flatMap((list) => list?.split(/[\s,]+/).filter(Boolean) ?? []);
  return own.includes("*") ? "*" : [...new Set([...own, ...OWN_ADDRESSES])].join(",");
}

/** Whether a URL's host is this machine, or the exceptions name it or a domain around it. */
function isException(address: string, exceptions: string): boolean {
  const url = URL.parse(address);
  if (url === null || exceptions === "*") return exceptions === "*";
  return (
    isLoopback(url.hostname) ||
    exceptions.split(",").some((entry) => {
      const name = entry.replace(/^\*?\./, "").toLowerCase();
      return name === url.host || name === url.hostname || url.hostname.endsWith(`.${name}`);
    })
  );
}

/**
 * Writes a file of the trusted certificates and some more, for libraries that take one file. It
 * is removed when the process exits.
 *
 * @param extra the file with the additional certificates
 * @param bundle the file with the trusted ones; undefined: the system's
 * @returns undefined when a file cannot be read or written: the library has the system's then
 */
function certificateFile(extra: string, bundle: string | undefined): string | undefined {
  try {
    const trusted = bundle ? [readFileSync(bundle, "utf8")] : getCACertificates("system");
    const folder = mkdtempSync(join(tmpdir(), "parley-certificates-"));
    process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
    const path = join(folder, "all.pem");
    writeFileSync(path, [...trusted, readFileSync(extra, "utf8")].join("\n"));
    return path;
  } catch {
    return undefined;
  }
}
