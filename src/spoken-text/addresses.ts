import type { Vocabulary } from "./vocabulary.ts";

const TOP_LEVEL =
  "com|org|net|io|dev|ai|app|edu|gov|info|eu|de|fr|es|it|pt|nl|uk|jp|cn|in|us|ch|at|be|tv|me|co";
/** Letters of addresses; those of scripts without spaces belong to the text around them. */
const LETTER = String.raw`\p{Script=Latin}\p{Script=Cyrillic}\p{Script=Greek}`;
/** What ends an address in a text belongs to the sentence. */
const PATH_END = String.raw`${LETTER}\p{N}/?#&=%_~$@+-`;
const PATH = String.raw`(?:[/?#](?:[${PATH_END}.,:;!'()*]*[${PATH_END}]|\(\w+\))?)?`;
const LABEL = String.raw`[${LETTER}\p{N}](?:[${LETTER}\p{N}-]*[${LETTER}\p{N}])?`;
const HOST = String.raw`${LABEL}(?:\.${LABEL})*`;
const URL_TEXT = new RegExp(
  String.raw`(?:https?|ftp|wss?)://(?:[^\s/@]+@)?(\[[\d:a-f]+\]|${HOST})(?::\d+)?${PATH}`,
  "giu",
);
const WWW = new RegExp(String.raw`(?<![\p{L}\p{N}.@/])www\.(${HOST})(?::\d+)?${PATH}`, "giu");
const BARE_HOST = new RegExp(
  String.raw`(?<![\p{L}\p{N}.@/_-])((?:[a-z\d](?:[a-z\d-]*[a-z\d])?\.)+(?:${TOP_LEVEL}))(?![${LETTER}\p{N}@_-]|\.[\p{L}\p{N}])${PATH}`,
  "giu",
);
const EMAIL =
  /(?:mailto:)?([\p{L}\p{N}](?:[\p{L}\p{N}._%+-]*[\p{L}\p{N}])?)@((?:[a-z\d](?:[a-z\d-]*[a-z\d])?\.)+[a-z]{2,})/giu;
/** A file with its folders: from the root, from home, from here, or ending like a file. */
const FILE_PATH =
  /(?<![\p{L}\p{N}:/])(?:(?:~|\.{1,2})?\/(?:[\w.@-]+\/)*[\w@-][\w.@-]*(?<![.])\/?|(?:[A-Za-z][\w.@-]*\/)+[\w-]+\.[a-z]{1,4}(?![\w]))/gu;
const WINDOWS_PATH = /(?<![\p{L}\p{N}])[A-Z]:\\(?:[\w .-]+\\)*[\w.-]*\w/gu;

/**
 * Replaces addresses by what a person would say: of a web address its host, of an e-mail address
 * all of it.
 *
 * @param words of the language; without them only the host is kept
 */
export function readAddresses(text: string, words: Vocabulary | undefined): string {
  const dotted = (name: string) =>
    words ? name.replaceAll(".", ` ${words.dot} `).replaceAll("_", " ") : name;
  const host = (name: string) => dotted(name.replace(/^www\./i, ""));
  const path = (name: string) => {
    if (!words) return name;
    const parts = name.split(/[/\\]/).filter((part) => part !== "" && !/^(?:~|\.+)$/.test(part));
    return parts.map(dotted).join(` ${words.slash} `);
  };
  return text
    .replace(EMAIL, (_all, user: string, at: string) =>
      words ? `${dotted(user)} ${words.at} ${dotted(at)}` : `${user}@${at}`,
    )
    .replace(URL_TEXT, (_all, name: string) => host(name))
    .replace(WWW, (_all, name: string) => host(name))
    .replace(BARE_HOST, (_all, name: string) => host(name))
    .replace(WINDOWS_PATH, path)
    .replace(FILE_PATH, path);
}
