import { expect, test } from "bun:test";
import { isLoopback } from "./loopback.ts";

test("names and addresses of this machine are distinguished from others", () => {
  const own = ["localhost", "LOCALHOST", "a.localhost", "127.0.0.1", "127.255.0.1", "::1", "[::1]"];
  const others = [
    "localhost.evil.org",
    "127.0.0.1.evil.org",
    "notlocalhost",
    "::2",
    "0.0.0.0",
    "127.0.0.256",
    "",
  ];
  expect(own.filter((host) => !isLoopback(host))).toEqual([]);
  expect(others.filter(isLoopback)).toEqual([]);
});
