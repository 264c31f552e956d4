import { describe, expect, test } from "bun:test";
import { languageOf } from "./language.ts";

describe("the language of an answer is told by its words and script", () => {
  test.each([
    ["en", "The weather is fine today."],
    ["en", "That costs $5."],
    ["de", "Heute ist es schön."],
    ["de", "Das kostet 5 €."],
    ["es", "La temperatura es de 5 grados."],
    ["fr", "Il fait très chaud à Paris."],
    ["it", "Il tempo è bello oggi."],
    ["pt", "O tempo está bom hoje."],
    ["nl", "Het weer is vandaag goed."],
    ["ja", "今日は晴れです。"],
    ["zh", "今天天气很好。"],
    ["hi", "मौसम अच्छा है।"],
    ["ar", "الطقس جميل اليوم."],
  ])("%s: %s", (language, text) => {
    expect(languageOf(text, null)).toBe(language as ReturnType<typeof languageOf>);
  });

  test.each([
    "Det är en bra dag i dag.",
    "To jest bardzo dobry dzień.",
    "Bugün hava çok güzel.",
    "Сегодня хорошая погода.",
    "오늘 날씨가 좋네요.",
    "วันนี้อากาศดี",
    "هوا امروز خوب است و گرم می‌شود، پس چیزی بپوش.",
    "100 km/h",
  ])("none of them: %s", (text) => {
    expect(languageOf(text, null)).toBeNull();
  });
});

test("the chosen language wins over a few words, but not over a whole text", () => {
  expect(languageOf("Okay, the end.", "de")).toBe("de");
  expect(languageOf("42 km/h", "fr")).toBe("fr");
  expect(languageOf("This is what you asked for, and it is the best that we have.", "de")).toBe(
    "en",
  );
  expect(languageOf("これは日本語です。", "en")).toBe("ja");
  expect(languageOf("漢字", "ja")).toBe("ja");
  expect(languageOf("Das ist ein Satz und er ist gut.", "sv")).toBeNull();
});
