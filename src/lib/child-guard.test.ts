import { expect, test } from "bun:test";
import { eventually } from "../../test/e2e/wait.ts";
import { isRunning } from "./is-running.ts";

/** The child itself tells its process id, so the guard has left its watcher behind by then. */
const PARENT = `
  import { guarded } from "./child-guard.ts";
  const hangs = ["/bin/sh", "-c", "echo $$; exec sleep 600"];
  Bun.spawn(guarded(hangs), { stdin: "pipe", stdout: "inherit", detached: true });
  await Bun.sleep(600_000);`;

test("a child that hangs ends with its parent, even when that is killed", async () => {
  const parent = Bun.spawn([process.execPath, "-e", PARENT], {
    cwd: import.meta.dir,
    stdout: "pipe",
    stderr: "inherit",
  });
  const { value } = await parent.stdout.getReader().read();
  const pid = Number(new TextDecoder().decode(value));
  process.kill(pid, "SIGSTOP");
  expect(isRunning(pid)).toBe(true);
  parent.kill("SIGKILL");
  await eventually(
    "the child has ended",
    async () => isRunning(pid),
    (alive) => !alive,
    20_000,
  );
});
