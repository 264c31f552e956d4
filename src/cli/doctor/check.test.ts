import { expect, test } from "bun:test";
import { Failure } from "../../errors.ts";
import { failed, formatReport, ok, reportOf, runCheck, warning } from "./check.ts";

const check = (run: () => Promise<ReturnType<typeof ok>>, deadlineMs = 1000) => ({
  name: "part",
  deadlineMs,
  timeoutHint: "Be quicker.",
  run,
});

test("an exception and a timeout are failed results of one line", async () => {
  const expected = await runCheck(
    check(async () => {
      throw new Failure("unavailable", "it is\nbroken");
    }),
  );
  expect(expected).toMatchObject({ status: "failed", detail: "it is broken" });
  const late = await runCheck(check(() => new Promise(() => {}), 20));
  expect(late).toMatchObject({ status: "failed", hint: "Be quicker." });
});

test("the report is aligned, has the worst status, and is coloured on a terminal only", async () => {
  const results = await Promise.all([
    runCheck(check(async () => ok("fine"))),
    runCheck({ ...check(async () => warning("so so", "Look.")), name: "other part" }),
  ]);
  const report = reportOf(results);
  expect(report.status).toBe("warning");
  expect(formatReport(report, false)).toBe(
    [
      "ok       part        fine",
      "warning  other part  so so",
      "                     → Look.",
      "",
      "Parley can run, with 1 warning.",
      "",
    ].join("\n"),
  );
  expect(formatReport(report, true)).toContain("\x1b[32mok     \x1b[0m");
  const bad = await runCheck(check(async () => failed("no", "Fix it.")));
  expect(formatReport(reportOf([bad]), false)).toContain("1 of 1 checks failed.");
});
