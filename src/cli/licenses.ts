import { Failure } from "../errors.ts";
import type { Program } from "./serve.ts";

/**
 * `parley licenses`: prints the licences of everything that Parley is made of.
 *
 * @returns the exit code
 * @throws Failure when this build has none inside
 */
export async function licenses({ licenses: read }: Program): Promise<number> {
  if (!read) {
    throw new Failure(
      "not_found",
      "this build has no licences inside: see THIRD-PARTY-LICENSES.txt",
    );
  }
  await Bun.write(Bun.stdout, await read());
  return 0;
}
