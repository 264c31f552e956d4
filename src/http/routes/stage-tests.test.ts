import { expect, test } from "bun:test";
import { form, openHttp, problemOf } from "../../../test/http-harness.ts";
import type { StageTest } from "../../domain/provider.ts";
import { Failure } from "../../errors.ts";

const HOSTILE = `"><script>alert(1)</script>`;
const TIMES = { firstMs: 120.4, totalMs: 1234 };

test("a test shows what was said as text, with its times, and its sound can be played", async () => {
  const bytes = new Uint8Array([1, 2, 3]);
  const sound = { bytes, type: "audio/wav" };
  await using http = openHttp({
    testStage: async (stage) => ({ stage, ...TIMES, text: HOSTILE, sound }),
  });
  const html = await (await http.guest("/providers/test/tts", form({}))).text();
  expect(html).toContain("First sound after 120 ms, complete after 1.2 s.");
  expect(html).not.toContain("<script>");
  const played = await http.guest(/src="([^"]+)"/.exec(html)?.[1] ?? "");
  expect(played.headers.get("Content-Type")).toBe("audio/wav");
  expect(await played.bytes()).toEqual(bytes);
});

test("the last four sounds can be played, and older ones are gone", async () => {
  const sound = { bytes: new Uint8Array([1]), type: "audio/wav" };
  await using http = openHttp({
    testStage: async (stage) => ({ stage, ...TIMES, text: "", sound }),
  });
  const sources: string[] = [];
  for (let tests = 0; tests < 5; tests++) {
    const html = await (await http.guest("/providers/test/tts", form({}))).text();
    sources.push(/src="([^"]+)"/.exec(html)?.[1] ?? "");
  }
  const answers = await Promise.all(sources.map((source) => http.guest(source)));
  expect(answers.map(({ status }) => status)).toEqual([404, 200, 200, 200, 200]);
});

test("a recording reaches speech recognition, and a failure is told in words", async () => {
  const heard: (Uint8Array | undefined)[] = [];
  const testStage = async (stage: StageTest["stage"], recording: Uint8Array | undefined) => {
    heard.push(recording);
    if (recording === undefined) throw new Failure("upstream_failed", "Speech failed: try again.");
    return { stage, ...TIMES, text: "", realtime: false };
  };
  await using http = openHttp({ testStage });
  const body = new FormData();
  body.set("audio", new File([new Uint8Array([7])], "audio.wav"));
  const headers = { Origin: "http://localhost", Host: "localhost" };
  const answer = await http.guest("/providers/test/stt", { method: "POST", body, headers });
  expect(await answer.text()).toMatch(/No words were heard.*Recognised in 1.2 s. Realtime: no/s);
  const refused = await problemOf(await http.guest("/providers/test/stt", form({})));
  expect(refused).toMatchObject({ status: 502, detail: "Speech failed: try again." });
  expect(heard).toEqual([new Uint8Array([7]), undefined]);
});

test("an unknown stage is not found", async () => {
  await using http = openHttp();
  expect((await http.guest("/providers/test/nose", form({}))).status).toBe(404);
});

test("the names that a server lists are text in the lists of the form that asks", async () => {
  await using http = openHttp({
    servers: {
      offered: async (_, { baseURL }) => ({ baseURL, models: [HOSTILE], voices: ["a", "b"] }),
    },
  });
  const fields = { base_url: "127.0.0.1:8880", stages: "tts", form_id: "tts-endpoint" };
  const html = await (await http.guest("/providers/offered", form(fields))).text();
  expect(html).toContain('<datalist id="tts-endpoint-tts_voice-names"');
  expect(html).toContain("Found at http://127.0.0.1:8880.");
  expect(html).not.toContain("<script>");
  const untouched = await http.guest("/providers/offered", form({ ...fields, base_url: "" }));
  expect([untouched.status, await untouched.text()]).toEqual([200, ""]);
});
