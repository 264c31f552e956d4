import { afterEach, expect, test } from "bun:test";
import { moonshineTokens, piperTokens } from "./test-models/convert.ts";
import { wheelUrl } from "./test-models/package-index.ts";

const before = process.env["PIP_INDEX_URL"];
afterEach(() => {
  if (before === undefined) delete process.env["PIP_INDEX_URL"];
  else process.env["PIP_INDEX_URL"] = before;
});

test("a file is found in the index that pip is set up for", async () => {
  await using index = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    routes: {
      "/simple/some-voice/": () =>
        new Response(
          `<a href="../../files/some_voice-1.0.tar.gz#sha256=1">source</a>
           <a data-x="y" href='../../files/some_voice-1.0-py3.whl?a=1&amp;b=2#sha256=2'>wheel</a>`,
          { headers: { "Content-Type": "text/html" } },
        ),
    },
  });
  process.env["PIP_INDEX_URL"] = new URL("/simple", index.url).href;
  const file = "some_voice-1.0-py3.whl";
  expect(await wheelUrl({ project: "some-voice", file })).toBe(
    new URL(`/files/${file}?a=1&b=2`, index.url).href,
  );
  await expect(wheelUrl({ project: "some-voice", file: "other.whl" })).rejects.toThrow("other.whl");
});

test("Moonshine's tokens are lengths and bytes", () => {
  const long = "x".repeat(130);
  const tokenizer = Buffer.from([2, 104, 105, 0, 130, 1, ...Buffer.from(long)]);
  const lines = ["hi", "", long].map(
    (text, id) => `${Buffer.from(text).toString("base64")} ${id}\n`,
  );
  expect(moonshineTokens(tokenizer)).toBe(lines.join(""));
});

test("Piper's tokens are the symbols of its voice", () => {
  const voice = {
    audio: { sample_rate: 22_050 },
    espeak: { voice: "en-us" },
    num_speakers: 1,
    language: { name_english: "English" },
    phoneme_id_map: { _: [0], " ": [3], ə: [59] },
  };
  expect(piperTokens(voice)).toBe("_ 0\n  3\nə 59\n");
});
