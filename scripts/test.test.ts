import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { planTests } from "./test-files.ts";

let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "parley-runner-"));
  const files = {
    "good/a.test.ts": `test("one", () => {}); test("two", () => {});`,
    "bad/a.test.ts": `test("one", () => {}); test("two", () => { throw new Error("no"); });`,
    "crash/a.test.ts": `test("one", () => { process.kill(process.pid, "SIGSEGV"); });`,
    "crash/b.test.ts": `test("one", () => {});`,
    "import/a.test.ts": `throw new Error("at import");`,
    "import/b.test.ts": `test("one", () => {});`,
  };
  for (const [name, code] of Object.entries(files)) {
    await Bun.write(join(folder, name), `import { test } from "bun:test";\n${code}\n`);
  }
  mkdirSync(join(folder, "empty"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function lastLine(path: string): Promise<string> {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "test.ts"), path], {
    stdout: "pipe",
    stderr: "ignore",
  });
  const output = await new Response(child.stdout).text();
  return `${output.trim().split("\n").at(-1)}, exit code ${await child.exited}`;
}

test("passes, failures, crashes and files that do not load are counted", async () => {
  const outcomes: Record<string, string> = {};
  for (const name of ["good", "bad", "crash", "import", "empty"]) {
    outcomes[name] = await lastLine(join(folder, name));
  }
  expect(outcomes).toEqual({
    good: "2 passed, 0 failed, exit code 0",
    bad: "1 passed, 1 failed, exit code 1",
    crash: "1 passed, 1 failed, exit code 1",
    import: "1 passed, 1 failed, exit code 1",
    empty: "0 passed, 1 failed, exit code 1",
  });
}, 60_000);

test("end-to-end files are separated from unit tests, and flags are passed on", () => {
  const plan = planTests(["scripts", "-t", "name"]);
  expect(plan.unit).toContain("scripts/test.test.ts");
  expect(plan.flags).toEqual(["-t", "name"]);
  expect(planTests([]).unit.filter((file) => file.startsWith("test/e2e/"))).toEqual([]);
});
