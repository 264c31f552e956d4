import { expect, test } from "bun:test";
import { sessionOf } from "../../test/database.ts";
import { readConfig } from "../config.ts";
import { languageNotice } from "./language-notice.ts";

const LANGUAGES: Record<string, string[]> = { english: ["en-US"], several: ["en", "de"] };

/** What is told when these local models, or servers where none is named, serve the stages. */
async function told(language: string | null, models: { stt?: string; tts?: string }) {
  const { stt, tts } = readConfig({});
  const session = sessionOf({ language, stt_model: models.stt ?? "", tts_model: models.tts ?? "" });
  const notice = await languageNotice(
    session,
    {
      stt: { ...stt, isEngine: models.stt !== undefined },
      tts: { ...tts, isEngine: models.tts !== undefined },
    },
    async (id) => LANGUAGES[id],
  );
  return notice && [notice.stage, notice.message];
}

test("a local model that does not know the chosen language is named, with what to do", async () => {
  expect(await told("de-AT", { stt: "several", tts: "english" })).toEqual([
    "tts",
    "The voice on this machine does not know Austrian German. Choose another model on the Models page.",
  ]);
  expect(await told("ja", { stt: "english" })).toEqual([
    "stt",
    "Speech recognition on this machine does not know Japanese. Choose another model on the Models page.",
  ]);
  expect(await told("ja", { stt: "several", tts: "english" })).toEqual([
    undefined,
    "Speech recognition and the voice on this machine do not know Japanese. Choose other models on the Models page.",
  ]);
});

test("nothing is told of a language that is known or not chosen, and of models that nobody lists", async () => {
  expect(await told("de", { stt: "several", tts: "several" })).toBeUndefined();
  expect(await told("en-GB", { stt: "english", tts: "english" })).toBeUndefined();
  expect(await told(null, { stt: "english", tts: "english" })).toBeUndefined();
  expect(await told("ja", { stt: "own-files" })).toBeUndefined();
  expect(await told("ja", {})).toBeUndefined();
});
