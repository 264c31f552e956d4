import { existsSync } from "node:fs";
import type { Child } from "./supervised.ts";

/**
 * Ties a child's life to Parley's: the pipe on its stdin closes when Parley ends in any way,
 * `kill -9` included, and then the guard kills the child, also one that hangs. No handler inside
 * Parley could, and only Linux has an equivalent in the kernel. It works by a shell that leaves a
 * watcher behind and then becomes the child itself (`exec` keeps the process id, which is `$$` in
 * the watcher too): signals and exit codes need no forwarding. A line on the pipe, instead of its
 * end, tells the watcher that the child has exited and its id may belong to another process.
 */
const GUARD = `
exec 3<&0
(read -r line <&3 || kill -KILL $$) >/dev/null 2>&1 &
exec 3<&-
exec "$0" "$@"
`;
const SHELL = "/bin/sh";

/** The command line that runs `argv` under the guard; without a shell, as on Windows, `argv`. */
export function guarded(argv: readonly string[]): string[] {
  return existsSync(SHELL) ? [SHELL, "-c", GUARD, ...argv] : [...argv];
}

/** Ends the guard's watcher of a child that has exited. */
export function dismissGuard(child: Child): void {
  try {
    child.stdin.write("gone\n");
    void child.stdin.end();
  } catch {
    // Without a guard the pipe closed with the child.
  }
}
