import { expect, test } from "bun:test";
import { readConfig } from "../config.ts";
import { sttModelFor } from "../domain/stage.ts";
import { instructionsFor, sessionPlan } from "./session-plan.ts";

test("a session without wishes runs with what is configured", () => {
  const config = readConfig({
    SYSTEM_PROMPT: "Be brief.",
    GREETING: "Hello!",
    STT_MODEL: "whisper-1",
    LLM_MODEL: "llama",
    TTS_MODEL: "kokoro",
    TTS_VOICE: "sky",
  });
  expect(sessionPlan(config, { room: "r" })).toEqual({
    system_prompt: "Be brief.",
    greeting: "Hello!",
    voice: "sky",
    language: null,
    keyterms: [],
    stt_model: "whisper-1",
    llm_model: "llama",
    tts_model: "kokoro",
  });
});

test("a session's own wishes come first", () => {
  const wishes = {
    system_prompt: "Be funny.",
    greeting: "Hey!",
    voice: "echo",
    language: "pt-BR",
    keyterms: ["Parley"],
    llm_model: "gpt-5",
  };
  const config = readConfig({ SYSTEM_PROMPT: "Be brief.", GREETING: "Hello!" });
  expect(sessionPlan(config, { room: "r", ...wishes })).toMatchObject(wishes);
});

test("a session speaks the configured language, another one, or again any", () => {
  const config = readConfig({ STT_LANGUAGE: "de-at", STT_KEYTERMS: "Parley, Wien" });
  const of = (wishes: object) => sessionPlan(config, { room: "r", ...wishes });
  expect(of({})).toMatchObject({ language: "de-AT", keyterms: ["Parley", "Wien"] });
  expect(of({ language: "fr", keyterms: [] })).toMatchObject({ language: "fr", keyterms: [] });
  expect(of({ language: "auto" }).language).toBeNull();
});

test("Parley's own instructions end with the date and the language, others stay as they are", () => {
  const { systemPrompt } = readConfig({});
  const began = new Date(2026, 10, 27, 9, 5);
  const given = (system_prompt: string, language: string | null) =>
    instructionsFor({ system_prompt, language }, began).replace(systemPrompt, "…");
  const { timeZone } = new Intl.DateTimeFormat().resolvedOptions();
  const date = new RegExp(
    `^… The conversation began on Friday,? 27 November 2026 at 09:05 \\(${timeZone}, GMT`,
  );
  expect(given(systemPrompt, "de-DE")).toMatch(date);
  expect(given(systemPrompt, "de-DE")).toEndWith(". Answer in German (Germany).");
  expect(given(systemPrompt, null)).toContain("Answer in the language that the person speaks.");
  expect(given("Translate into English.", "de")).toBe("Translate into English.");
  expect(given("It is {{time}} on {{date}}.", "de")).toMatch(
    /^It is 09:05 on Friday,? 27 November 2026\.$/,
  );
});

test("without a greeting anywhere the agent says nothing first", () => {
  expect(sessionPlan(readConfig({}), { room: "r" }).greeting).toBeNull();
});

test("the transcription model depends on the way the server is reached, unless it is set", () => {
  const { stt } = readConfig({});
  expect(sttModelFor(stt, true)).toContain("realtime");
  expect(sttModelFor(stt, false)).not.toContain("realtime");
  const own = readConfig({ STT_MODEL: "whisper-1" }).stt;
  expect([true, false].map((realtime) => sttModelFor(own, realtime))).toEqual([
    "whisper-1",
    "whisper-1",
  ]);
  const never = sessionPlan(readConfig({ STT_REALTIME: "false" }), { room: "r" });
  expect(never.stt_model).toBe(sttModelFor(stt, false));
});

test("a realtime model stands for all three stages", () => {
  const realtimeModel = { baseURL: "http://r:1", apiKey: undefined, model: "talker", voice: "ash" };
  const config = { ...readConfig({ TTS_VOICE: "sky" }), realtimeModel };
  const models = { stt_model: "talker", llm_model: "talker", tts_model: "talker" };
  expect(sessionPlan(config, { room: "r" })).toMatchObject({ ...models, voice: "ash" });
  expect(sessionPlan(config, { room: "r", voice: "sage", llm_model: "other" })).toMatchObject({
    voice: "sage",
    tts_model: "other",
  });
});
