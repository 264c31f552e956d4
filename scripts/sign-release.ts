import { createPrivateKey, createPublicKey, type KeyObject, sign } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileHash } from "../src/lib/file-hash.ts";
import { RELEASE_KEY } from "../src/update/release-key.ts";
import type { ReleaseList, ReleaseVariant } from "../src/update/release-list.ts";

export const RELEASE_LIST = "releases.json";

/** How long `parley update` believes a list: in this time there is another release, or it is signed anew. */
const VALID_DAYS = 365;
const EXECUTABLE =
  /^parley(?:-(slim|offline))?(?:-((?:linux|darwin|windows)-(?:x64|arm64)))?(?:\.exe)?$/;

/**
 * The key that signs releases, from `RELEASE_SIGNING_KEY`.
 *
 * @param publicKey the half that `parley update` knows
 * @throws Error if it is not the other half of that
 */
export function signingKey(pem: string, publicKey: string | undefined = RELEASE_KEY): KeyObject {
  const key = createPrivateKey(pem);
  if (key.asymmetricKeyType !== "ed25519") throw new Error("RELEASE_SIGNING_KEY is not Ed25519");
  if (publicKey === undefined) {
    throw new Error(
      "put the public half of the key into src/update/release-key.ts and build again",
    );
  }
  if (!createPublicKey(key).equals(createPublicKey(publicKey))) {
    throw new Error("RELEASE_SIGNING_KEY is not the other half of the key in release-key.ts");
  }
  return key;
}

/**
 * The list that `parley update` reads.
 *
 * @param names the files in `folder`; those that are not executables are left out
 * @param host this machine's platform, of executables whose names have none
 * @param url where the files will be
 */
export async function listOf(
  folder: string,
  names: readonly string[],
  { version, host, url, issued }: { version: string; host: string; url: string; issued: Date },
): Promise<ReleaseList> {
  const files: ReleaseList["files"] = [];
  for (const name of names) {
    const [match, variant = "full", platform = host] = EXECUTABLE.exec(name) ?? [];
    if (match === undefined) continue;
    const path = join(folder, name);
    files.push({
      platform,
      variant: variant as ReleaseVariant,
      name,
      url: `${url}/${name}`,
      sha256: await fileHash(path),
      size: statSync(path).size,
    });
  }
  const expires = new Date(issued.getTime() + VALID_DAYS * 24 * 3_600_000);
  const dates = { issued: issued.toISOString(), expires: expires.toISOString() };
  return { product: "parley", version, ...dates, files };
}

/** The Ed25519 signature of a file: 64 bytes, as openssl reads and writes them. */
export function signatureOf(path: string, key: KeyObject): Uint8Array {
  return new Uint8Array(sign(null, readFileSync(path), key));
}
