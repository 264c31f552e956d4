import { expect, test } from "bun:test";
import { otherRoom, randomName } from "./setup-form.ts";

test("another room keeps the name and changes the suffix", () => {
  expect(otherRoom("kitchen")).toMatch(/^kitchen-[a-z2-9]{4}$/);
  expect(otherRoom("room-k3f9")).toMatch(/^room-[a-z2-9]{4}$/);
  expect(otherRoom("room-k3f9")).not.toBe("room-k3f9");
  expect(otherRoom("x".repeat(128)).length).toBeLessThan(128);
  expect(otherRoom("-abcd")).toMatch(/^room-/);
  expect(randomName("guest")).toMatch(/^guest-[a-z2-9]{4}$/);
});
