import { join } from "node:path";

const ROOT = join(import.meta.dir, "..");

/**
 * Starts the real program as a shell does, in an environment of its own.
 *
 * @param home the user's folder, in which the data lies as well
 */
export function startCommand(
  args: readonly string[],
  home: string,
  variables: Record<string, string> = {},
) {
  return Bun.spawn([process.execPath, join(ROOT, "src/main.ts"), ...args], {
    cwd: ROOT,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { PATH: Bun.env["PATH"] ?? "", HOME: home, DATA_DIR: join(home, "data"), ...variables },
  });
}

/** What a command printed, and how it ended. */
export async function outcomeOf(child: ReturnType<typeof startCommand>) {
  const [out, errors] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, out, errors };
}
