import { expect, test } from "bun:test";
import { liveKitUrlFor } from "./call.ts";

test("a loopback LiveKit is reached by the name the page was opened by", () => {
  expect(liveKitUrlFor("ws://127.0.0.1:7880", "parley.lan")).toBe("ws://parley.lan:7880/");
  expect(liveKitUrlFor("ws://[::1]:7880", "192.168.1.4")).toBe("ws://192.168.1.4:7880/");
  expect(liveKitUrlFor("ws://localhost:7880", "127.0.0.1")).toBe("ws://localhost:7880");
  expect(liveKitUrlFor("wss://lk.example.org", "parley.lan")).toBe("wss://lk.example.org");
});
