import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { temporaryFolder } from "../../../test/database.ts";
import { form, type HttpSide, openHttp, problemOf } from "../../../test/http-harness.ts";
import { tinyModel } from "../../../test/model-server.ts";
import { onnxMetadata } from "../../lib/onnx-file.ts";

const SPEAKERS = "af_bella,bm_fable,zf_xiaobei";
const FILES: Readonly<Record<string, Uint8Array>> = {
  "model.onnx": onnxMetadata({ n_speakers: "3", speaker_names: SPEAKERS }),
  "voices.bin": Buffer.from("voices"),
  "tokens.txt": Buffer.from("a 0\n"),
  "espeak-ng-data/phontab": Buffer.from("x"),
};

const open = new AsyncDisposableStack();
let catalog: string;

beforeAll(() => {
  const about = { stage: "tts", kind: "kokoro", name: "Kokoro" } as const;
  const models = [
    tinyModel("http://127.0.0.1:9", FILES, { ...about, id: "kokoro" }),
    tinyModel("http://127.0.0.1:9", { "a.gguf": Buffer.from("GGUF") }, { id: "words" }),
  ];
  catalog = join(open.use(temporaryFolder()).path, "catalog.json");
  writeFileSync(catalog, JSON.stringify({ models }));
});
afterAll(() => open.disposeAsync());

/** The HTTP side, with a voice of three speakers on the disk. */
function side(options: Parameters<typeof openHttp>[0] = {}): HttpSide {
  const http = openHttp({ ...options, variables: { MODELS_CATALOG: catalog } });
  for (const [path, bytes] of Object.entries(FILES)) {
    const place = join(http.dataDir, "models", "kokoro", path);
    mkdirSync(dirname(place), { recursive: true });
    writeFileSync(place, bytes);
  }
  return http;
}

test("the page offers the speakers of a downloaded voice, each with its language", async () => {
  await using http = side();
  const html = await (await http.guest("/models")).text();
  for (const name of [
    "Bella – American English, female",
    "Fable – British English, male",
    "Xiaobei – Chinese, female",
  ]) {
    expect(html).toContain(name);
  }
  const options = await (await http.guest("/providers/speakers?model=kokoro")).text();
  const ids = [...options.matchAll(/<option value="(\w+)"/g)].map(([, id]) => id ?? "");
  expect(ids).toEqual(SPEAKERS.split(","));
  expect((await http.guest("/providers/speakers?model=nothing")).status).toBe(404);
});

test("the speaker that is chosen is stored, shown, and offered to a conversation", async () => {
  await using http = side();
  const choose = (voice: string) =>
    http.guest("/providers/local", form({ stage: "tts", model: "kokoro", voice }));
  const refused = await problemOf(await choose("alfred"));
  expect(refused).toMatchObject({ status: 400, detail: "Kokoro has no voice alfred." });
  expect((await choose("bm_fable")).status).toBe(303);
  expect(http.providers.overview()[2]).toMatchObject({ use: "local", voice: "bm_fable" });
  const page = await (await http.guest("/models")).text();
  expect(page).toContain("This machine: kokoro, voice bm_fable");
  expect(page).toMatch(/value="bm_fable" selected/);
  const setup = /<select id="voice".*?<\/select>/s.exec(await (await http.guest("/")).text())?.[0];
  expect(setup?.match(/<option/g)).toHaveLength(3);
  expect(setup).toMatch(/value="bm_fable" selected/);
});

test("a speaker can be heard before it is chosen", async () => {
  const asked: unknown[] = [];
  await using http = side({
    listen: async (voice) => {
      asked.push(voice);
      const sound = { bytes: new Uint8Array([1]), type: "audio/wav" };
      return { stage: "tts", firstMs: 1, totalMs: 2, text: "Hello.", sound };
    },
  });
  const heard = await http.guest("/providers/listen", form({ model: "kokoro", voice: "af_bella" }));
  expect(await heard.text()).toContain("<audio");
  expect(asked).toEqual([{ id: "kokoro", kind: "kokoro", voice: "af_bella" }]);
  const wrong = await problemOf(await http.guest("/providers/listen", form({ model: "words" })));
  expect(wrong).toMatchObject({ status: 400, detail: "Tiny is no voice." });
});
