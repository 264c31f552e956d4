import { createPublicKey, verify } from "node:crypto";
import { z } from "zod";
import { Failure } from "../errors.ts";
import { parseJson } from "../lib/json.ts";

/** What an executable contains: see `scripts/build.ts`. */
export const RELEASE_VARIANTS = ["slim", "full", "offline"] as const;
export type ReleaseVariant = (typeof RELEASE_VARIANTS)[number];

const version = z.string().regex(/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/);

const releaseFile = z.object({
  /** Such as `linux-x64`; the platforms are in `scripts/build/targets.ts`. */
  platform: z.string(),
  variant: z.enum(RELEASE_VARIANTS),
  name: z.string().regex(/^[\w.-]+$/),
  /** Absolute, or relative to the list. */
  url: z.string(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** Bytes. */
  size: z.int().positive(),
});
export type ReleaseFile = z.infer<typeof releaseFile>;

/** A signed list of the executables of one version. */
export const releaseList = z.object({
  product: z.literal("parley"),
  version,
  issued: z.iso.datetime(),
  /** After this, an old copy of the list could hide a newer version, so it is not believed. */
  expires: z.iso.datetime(),
  files: z.array(releaseFile).max(100),
});
export type ReleaseList = z.infer<typeof releaseList>;

/** The clock of this machine may be this far behind that of the one that signed, in ms. */
const CLOCK_TOLERANCE_MS = 24 * 3_600_000;

/**
 * Reads a release list whose Ed25519 signature (RFC 8032) is right.
 *
 * @param key the public key in PEM form
 * @param now ms since 1970
 * @throws Failure for a list that is forged, damaged, not for Parley, or out of date
 */
export function readReleaseList(
  bytes: Uint8Array,
  signature: Uint8Array,
  key: string,
  now: number,
): ReleaseList {
  const publicKey = createPublicKey(key);
  if (publicKey.asymmetricKeyType !== "ed25519") throw new Error("the release key is not Ed25519");
  if (!verify(null, bytes, publicKey, signature)) {
    throw new Failure(
      "unavailable",
      "the release list is not signed by Parley's release key, so nothing was changed: try again " +
        "later, since a release may just be published, and report this if it stays",
    );
  }
  const parsed = releaseList.safeParse(parseJson(new TextDecoder().decode(bytes)));
  if (!parsed.success) {
    throw new Failure(
      "unavailable",
      "the release list is not one that this version understands: download the new version by hand",
    );
  }
  const list = parsed.data;
  if (now > Date.parse(list.expires)) {
    throw new Failure(
      "unavailable",
      `the release list expired on ${list.expires.slice(0, 10)}, so a newer version may be hidden: ` +
        "check this machine's clock, or download the new version by hand",
    );
  }
  if (now < Date.parse(list.issued) - CLOCK_TOLERANCE_MS) {
    throw new Failure(
      "unavailable",
      `the release list is of ${list.issued.slice(0, 10)}, which is in the future: set this machine's clock`,
    );
  }
  return list;
}

/** The file of a list for a platform and variant. @throws Failure unless there is exactly one */
export function fileFor(list: ReleaseList, platform: string, variant: ReleaseVariant): ReleaseFile {
  const matching = list.files.filter(
    (file) => file.platform === platform && file.variant === variant,
  );
  const [file] = matching;
  if (file && matching.length === 1) return file;
  const what = variant === "full" ? "parley" : `parley-${variant}`;
  const problem = file ? "several files" : "no file";
  throw new Failure(
    "not_found",
    `version ${list.version} has ${problem} of ${what} for ${platform}: build it from source instead`,
  );
}
