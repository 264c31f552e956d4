/** Where the newest release list is; its signature is beside it, with `.sig` added. */
export const RELEASE_LIST_URL =
  "https://github.com/parley/parley/releases/latest/download/releases.json";

/**
 * The public half of the key that signs releases: Ed25519, in PEM form. It is part of the source and
 * cannot be changed by a setting, since it decides which programs this one replaces itself by.
 * docs/DEPLOY.md says how the maintainer makes the pair. Undefined: there is none yet.
 */
export const RELEASE_KEY: string | undefined = undefined;
