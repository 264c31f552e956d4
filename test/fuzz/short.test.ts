import { expect, test } from "bun:test";
import { fuzz } from "./fuzz.ts";

test("requests and frames of any kind are answered without failing, and leave nothing behind", async () => {
  const seed = Date.now() % 2 ** 31;
  console.log(`fuzz: seed ${seed}`);
  const { requests, frames, routes } = await fuzz({ seed, requests: 400, conversations: 60 });
  expect(requests).toBe(800);
  expect(frames).toBeGreaterThan(100);
  expect(routes).toBeGreaterThan(30);
});
