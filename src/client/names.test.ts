import { expect, test } from "bun:test";
import { liveKitUrlFor } from "./livekit-url.ts";
import { levelOf } from "./microphone.ts";
import { clock, otherRoom, randomName } from "./names.ts";

test("another room keeps the name and changes the suffix", () => {
  expect(otherRoom("kitchen")).toMatch(/^kitchen-[a-z2-9]{4}$/);
  expect(otherRoom("room-k3f9")).toMatch(/^room-[a-z2-9]{4}$/);
  expect(otherRoom("room-k3f9")).not.toBe("room-k3f9");
  expect(otherRoom("x".repeat(128)).length).toBeLessThan(128);
  expect(otherRoom("-abcd")).toMatch(/^room-/);
  expect(randomName("guest")).toMatch(/^guest-[a-z2-9]{4}$/);
});

test("elapsed time", () => {
  expect([-5, 7400, 754_000, 3_723_000].map(clock)).toEqual(["0:00", "0:07", "12:34", "1:02:03"]);
});

test("a loopback LiveKit is reached by the name the page was opened by", () => {
  expect(liveKitUrlFor("ws://127.0.0.1:7880", "parley.lan")).toBe("ws://parley.lan:7880/");
  expect(liveKitUrlFor("ws://[::1]:7880", "192.168.1.4")).toBe("ws://192.168.1.4:7880/");
  expect(liveKitUrlFor("ws://localhost:7880", "127.0.0.1")).toBe("ws://localhost:7880");
  expect(liveKitUrlFor("wss://lk.example.org", "parley.lan")).toBe("wss://lk.example.org");
});

test("the level is linear in decibels, from the floor to full scale", () => {
  const tone = (amplitude: number) => levelOf(new Float32Array(8).fill(amplitude));
  expect(tone(0)).toBe(0);
  expect(tone(1)).toBe(1);
  expect(tone(0.0001)).toBe(0);
  expect(tone(10 ** (-30 / 20))).toBeCloseTo(0.5);
});
