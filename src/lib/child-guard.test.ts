import { expect, test } from "bun:test";
import { eventually } from "../../test/e2e/wait.ts";
import { isRunning } from "./is-running.ts";

const PARENT = `
  import { guarded } from "./child-guard.ts";
  const child = Bun.spawn(guarded(["sleep", "600"]), { stdin: "pipe", detached: true });
  console.log(child.pid);
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
