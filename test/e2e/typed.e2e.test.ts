import { expect, test } from "bun:test";
import { Guest } from "./guest.ts";
import { finalOf, openWorld, saidIn, storedTranscript } from "./world.ts";

test("a typed message is in the transcript at once and is answered aloud", async () => {
  await using world = await openWorld({});
  await using guest = await Guest.at(world.parley.url);
  const { page } = guest;
  expect(await page.isDisabled("#message")).toBe(true);
  const id = await guest.start();
  await using listener = await world.parley.listen(id);

  const sent = Date.now();
  await page.fill("#message", "  Where is the station? ");
  await page.press("#message", "Enter");
  await guest.reads("user", "Where is the station?");
  await guest.hears(sent);
  await guest.reads("agent", "You said: Where is the station?");
  expect(await page.inputValue("#message")).toBe("");

  await page.fill("#message", "My name is Ada.");
  await page.click("#send");
  await guest.reads("agent", "Nice to meet you, Ada.");
  const said = [
    "user: Where is the station?",
    "agent: You said: Where is the station?",
    "user: My name is Ada.",
    "agent: Nice to meet you, Ada.",
  ];
  await finalOf(listener, "agent", "Nice to meet you, Ada.");
  expect(await guest.shown()).toEqual(said);
  expect(listener.finals("user")).toEqual(["Where is the station?", "My name is Ada."]);
  expect(saidIn(await storedTranscript(world.parley, id))).toEqual(said);
  await guest.stop();
  expect(await page.isDisabled("#message")).toBe(true);
  expect(guest.visitor.complaints).toEqual([]);
});
