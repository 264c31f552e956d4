import { describe, expect, test } from "bun:test";
import { ApiError } from "./api.ts";
import {
  endingProblem,
  eventProblem,
  INSECURE_PAGE,
  ProblemError,
  problemOf,
  whenToRetry,
} from "./problems.ts";

function named(name: string): Error {
  return Object.assign(new Error("raw"), { name });
}

describe("refused requests", () => {
  test.each([
    [0, "retry"],
    [400, "retry"],
    [401, "sign_in"],
    [409, "other_room"],
    [429, "retry"],
    [500, "retry"],
    [502, "retry"],
    [503, "retry"],
  ] as const)("%d has a way forward: %s", (status, remedy) => {
    const problem = problemOf("session", new ApiError(status, "Title", "What it says."));
    expect(problem.remedy).toBe(remedy);
    expect(problem.title).not.toBe("");
    expect(problem.detail).not.toBe("");
  });

  test("what is down is named, and when to try again if it is known", () => {
    const problem = (retryAfter?: number) =>
      problemOf("token", new ApiError(503, "T", "LiveKit is starting.", retryAfter));
    expect(problem(5)).toMatchObject({
      title: "The conversation could not start",
      detail: "LiveKit is starting. Try again in about 5 seconds.",
      remedy: "retry",
    });
    expect(problem().detail).toBe("LiveKit is starting.");
  });

  test("a limit says when to try again", () => {
    expect(problemOf("session", new ApiError(429, "T", "All taken.", 30)).detail).toBe(
      "All taken. Try again in about 30 seconds.",
    );
    expect(whenToRetry(150)).toBe("Try again in about 3 minutes.");
    expect(whenToRetry(0)).toContain("1 second");
  });
});

describe("the microphone", () => {
  test.each([
    ["NotAllowedError", "blocked"],
    ["NotFoundError", "No microphone"],
    ["NotReadableError", "in use"],
    ["Whatever", "could not be opened"],
  ])("%s", (name, words) => {
    expect(problemOf("microphone", named(name)).title).toContain(words);
  });

  test("a problem that was thrown is kept as it is", () => {
    expect(problemOf("microphone", new ProblemError(INSECURE_PAGE))).toBe(INSECURE_PAGE);
  });
});

test("an unreachable room does not show raw error text", () => {
  expect(problemOf("room", named("ConnectionError")).detail).not.toContain("raw");
});

test("an error event names its stage in plain words and says whether the conversation continues", () => {
  const data = { code: "x", message: "It is busy", stage: "tts" as const, recoverable: true };
  expect(eventProblem(data)).toEqual({
    title: "The voice had a problem",
    detail: "It is busy. The conversation continues.",
    remedy: "none",
    tone: "warning",
  });
  expect(eventProblem({ ...data, recoverable: false }).tone).toBe("error");
});

describe("why a session ended", () => {
  const fatal = eventProblem({
    code: "x",
    message: "Key refused",
    stage: "llm",
    recoverable: false,
  });

  test("ordinary ends need no remedy, failures offer one", () => {
    expect(endingProblem("idle")).toMatchObject({ tone: "info", remedy: "none" });
    expect(endingProblem("agent_failed")).toMatchObject({ tone: "error", remedy: "retry" });
  });

  test("the error before it explains a failure, not an ordinary end", () => {
    expect(endingProblem("provider_failed", fatal).detail).toContain("Key refused.");
    expect(endingProblem("idle", fatal).detail).not.toContain("Key refused");
  });

  test("an unknown reason, even the name of an object's own method, is shown as unknown", () => {
    expect(endingProblem("toString").title).toBe("The agent left");
    expect(endingProblem(undefined, fatal)).toBe(fatal);
  });
});
