import { codeOf, Failure } from "../errors.ts";

/** What is wrong, and what to do about it, by SQLite's result codes (https://sqlite.org/rescode.html). */
const REFUSALS: [codes: RegExp, words: (path: string) => string][] = [
  [/^SQLITE_FULL/, (path) => `the disk of ${path} is full. Free some space there.`],
  [
    /^SQLITE_(BUSY|LOCKED|PROTOCOL)/,
    (path) => `another program has locked ${path}. Stop that program.`,
  ],
  [
    /^SQLITE_(READONLY|CANTOPEN|PERM|AUTH|IOERR|NOMEM)/,
    (path) => `${path} cannot be written. Check its disk and its permissions.`,
  ],
  [/^SQLITE_(CORRUPT|NOTADB)/, (path) => `${path} is damaged. Restore a backup of it.`],
];

/**
 * Why the disk does not take a write, as a Failure `unavailable`; undefined when the error is not
 * the disk's, but a defect of what was written.
 *
 * @param path of the database
 */
export function diskFailure(error: unknown, path: string): Failure | undefined {
  const code = codeOf(error) ?? "";
  const words = REFUSALS.find(([codes]) => codes.test(code))?.[1];
  if (words === undefined) return undefined;
  return new Failure("unavailable", `Parley cannot store conversations: ${words(path)}`, {
    cause: error,
  });
}
