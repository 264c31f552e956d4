import { HUGGING_FACE, type ModelFile, type ModelSource } from "../domain/catalog.ts";

export const MIB = 2 ** 20;

/** The name and the text of licences that several models have. */
export const APACHE = {
  licence: "Apache-2.0",
  licenceUrl: "https://www.apache.org/licenses/LICENSE-2.0",
} as const;
export const CC_BY = {
  licence: "CC-BY-4.0",
  licenceUrl: "https://creativecommons.org/licenses/by/4.0/",
} as const;

/**
 * Files of a Hugging Face repository at one revision, which never changes.
 *
 * @param list a file a line: its size in bytes, its SHA-256, and its path
 */
export function huggingFace(repository: string, revision: string, list: string): ModelFile[] {
  return files(list, (path) => [
    { url: `${HUGGING_FACE}/${repository}/resolve/${revision}/${path}` },
  ]);
}

/**
 * Adds the archive of a release of sherpa-onnx as the second source of each file.
 *
 * @param release the tag of the release, for example `tts-models`
 * @param name of the archive, and of the folder in it
 */
export function alsoReleased(release: string, name: string, list: ModelFile[]): ModelFile[] {
  const url = `https://github.com/k2-fsa/sherpa-onnx/releases/download/${release}/${name}.tar.bz2`;
  return list.map(({ sources, ...file }) => ({
    ...file,
    sources: [...sources, { url, member: `${name}/${file.path}` }],
  }));
}

/** Files of this list, in the same form, from wherever `sourcesOf` says. */
export function files(list: string, sourcesOf: (path: string) => ModelSource[]): ModelFile[] {
  const lines = list.trim().split("\n");
  return lines.map((line) => {
    const [bytes = "", sha256 = "", path = ""] = line.trim().split(/ +/);
    return { path, sources: sourcesOf(path), bytes: Number(bytes), sha256 };
  });
}
