import { expect, test } from "bun:test";
import { isAllowedOrigin } from "./origin.ts";

const ALLOWED = ["https://app.example.org", "http://localhost:*", "http://127.0.0.1:*"];

test.each([
  ["Parley's own page", "https://parley.example.org", "parley.example.org"],
  ["its own page on a port", "http://10.0.0.5:3000", "10.0.0.5:3000"],
  ["a configured origin", "https://app.example.org", "parley.example.org"],
  ["any port where the port is *", "http://localhost:5173", "parley.example.org"],
  ["the standard port where the port is *", "http://localhost", "parley.example.org"],
  ["another loopback name with *", "http://127.0.0.1:8080", "parley.example.org"],
])("%s is allowed", (_what, origin, host) => {
  expect(isAllowedOrigin(origin, host, ALLOWED)).toBe(true);
});

test.each([
  ["a foreign page", "https://evil.example"],
  ["a page without an origin", "null"],
  ["nothing", ""],
  ["no address", "app.example.org"],
  ["another scheme", "http://app.example.org"],
  ["another port", "https://app.example.org:8443"],
  ["a name below", "https://evil.app.example.org"],
  ["a name that continues", "https://app.example.org.evil.example"],
  ["a name that continues after *'s", "http://localhost.evil.example:80"],
  ["a name that ends alike", "http://evillocalhost:80"],
  ["another scheme before *", "https://localhost:5173"],
  ["the name as a user", "http://localhost@evil.example"],
  ["the same host on another port", "http://parley.example.org:81"],
])("%s is not", (_what, origin) => {
  expect(isAllowedOrigin(origin, "parley.example.org", ALLOWED)).toBe(false);
});

test("without a host only configured origins are allowed", () => {
  expect(isAllowedOrigin("https://parley.example.org", undefined, ALLOWED)).toBe(false);
  expect(isAllowedOrigin("https://app.example.org", undefined, ALLOWED)).toBe(true);
  expect(isAllowedOrigin("https://app.example.org", undefined, [])).toBe(false);
});
