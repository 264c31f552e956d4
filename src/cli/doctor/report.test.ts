import { expect, test } from "bun:test";
import { Failure } from "../../errors.ts";
import { failed, ok, runCheck, warning } from "./check.ts";
import { readable, reportOf } from "./report.ts";

const check = (run: () => Promise<ReturnType<typeof ok>>, deadlineMs = 1000) => ({
  name: "part",
  deadlineMs,
  mendLate: "Be quicker.",
  run,
});

test("what a check throws, and what takes too long, are findings of one line", async () => {
  const expected = await runCheck(
    check(async () => {
      throw new Failure("unavailable", "it is\nbroken");
    }),
  );
  expect(expected).toMatchObject({ status: "failed", detail: "it is broken" });
  const late = await runCheck(check(() => new Promise(() => {}), 20));
  expect(late).toMatchObject({ status: "failed", mend: "Be quicker." });
});

test("the report is aligned, says the worst, and has colours on a terminal only", async () => {
  const results = await Promise.all([
    runCheck(check(async () => ok("fine"))),
    runCheck({ ...check(async () => warning("so so", "Look.")), name: "other part" }),
  ]);
  const report = reportOf(results);
  expect(report.status).toBe("warning");
  expect(readable(report, false)).toBe(
    [
      "ok       part        fine",
      "warning  other part  so so",
      "                     → Look.",
      "",
      "Parley can run; 1 to look at.",
      "",
    ].join("\n"),
  );
  expect(readable(report, true)).toContain("\x1b[32mok     \x1b[0m");
  const bad = await runCheck(check(async () => failed("no", "Mend.")));
  expect(readable(reportOf([bad]), false)).toContain("1 of 1 checks failed.");
});
