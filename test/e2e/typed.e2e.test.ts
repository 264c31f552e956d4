import { expect, test } from "bun:test";
import { event, finalOf, saidIn, startEnvironment, storedTranscript } from "./environment.ts";
import { PageUser } from "./page-user.ts";

test("a typed message is in the transcript at once and is answered aloud", async () => {
  await using environment = await startEnvironment({});
  await using user = await PageUser.at(environment.parley.url);
  const { page } = user;
  expect(await page.isDisabled("#message")).toBe(true);
  const id = await user.start();
  await using listener = await environment.parley.listen(id);

  const sent = Date.now();
  await page.fill("#message", "  Where is the station? ");
  await page.press("#message", "Enter");
  await user.reads("user", "Where is the station?");
  await user.hears(sent);
  await user.reads("agent", "You said: Where is the station?");
  expect(await page.inputValue("#message")).toBe("");

  await page.fill("#message", "My name is Ada.");
  await page.click("#send");
  await user.reads("agent", "Nice to meet you, Ada.");
  const said = [
    "user: Where is the station?",
    "agent: You said: Where is the station?",
    "user: My name is Ada.",
    "agent: Nice to meet you, Ada.",
  ];
  await finalOf(listener, "agent", "Nice to meet you, Ada.");
  expect(await user.shown()).toEqual(said);
  expect(listener.finals("user")).toEqual(["Where is the station?", "My name is Ada."]);
  expect(saidIn(await storedTranscript(environment.parley, id))).toEqual(said);
  await user.stop();
  expect(await page.isDisabled("#message")).toBe(true);
  expect(user.session.complaints).toEqual([]);
});

test("a message that is typed into an answer is answered after what was heard of that", async () => {
  await using environment = await startEnvironment({});
  await using user = await PageUser.at(environment.parley.url);
  const id = await user.start();
  await using listener = await environment.parley.listen(id);
  const type = async (text: string) => {
    await user.page.fill("#message", text);
    await user.page.press("#message", "Enter");
  };
  await type("Tell me everything about the old lighthouse beyond the harbour and its keeper.");
  await event(
    listener,
    "the first words of the answer",
    ({ type, data }) =>
      type === "transcript" && data.role === "agent" && data.text.includes("everything"),
  );
  await type("My name is Ada.");
  await finalOf(listener, "agent", "Nice to meet you, Ada.");
  const asked = environment.ai.requests.findLast(({ stage }) => stage === "llm")?.messages ?? [];
  const [, heard = ""] = listener.finals("agent").toReversed();
  expect(heard).toStartWith("You said: Tell me");
  expect(asked.slice(-2)).toEqual([
    { role: "assistant", content: heard },
    { role: "user", content: "My name is Ada." },
  ]);
  expect((await storedTranscript(environment.parley, id)).segments).toHaveLength(4);
});
