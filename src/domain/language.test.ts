import { describe, expect, test } from "bun:test";
import { SPOKEN_LANGUAGES } from "../spoken-text/language.ts";
import {
  canonicalTag,
  detectedLanguage,
  FULLY_SUPPORTED,
  LANGUAGES,
  languageName,
  ownLanguageName,
  recogniserCode,
  sameLanguage,
} from "./language.ts";

describe("a tag", () => {
  test.each([
    ["de", "de"],
    ["de-de", "de-DE"],
    ["PT-br", "pt-BR"],
    ["ZH-hans-cn", "zh-Hans-CN"],
    ["iw", "he"],
    ["yue", "yue"],
  ])("%p is %p", (given, canonical) => {
    expect(canonicalTag(given)).toBe(canonical);
  });

  test.each([
    "German",
    "english",
    "xx",
    "de_DE",
    "*",
    "de-",
    "-de",
    "d",
    "de, en",
    "x-klingon",
    "en\0",
    "🇩🇪",
    `en-${"x".repeat(8)}`.repeat(9),
    `en-x-${"a".repeat(40)}`,
  ])("%p is none, or names no language", (given) => {
    expect(canonicalTag(given)).toBeUndefined();
  });
});

test("every language that is offered can be chosen as it is written, once, and has its names", () => {
  expect(LANGUAGES.map((tag) => canonicalTag(tag))).toEqual([...LANGUAGES]);
  expect(new Set(LANGUAGES).size).toBe(LANGUAGES.length);
  for (const tag of LANGUAGES) expect(ownLanguageName(tag)).not.toBe(tag);
});

test("fully supported are the languages in which numbers are read", () => {
  expect(FULLY_SUPPORTED).toEqual([...SPOKEN_LANGUAGES]);
});

test("languages have an English name and their own", () => {
  expect(["de", "de-AT", "ar", "yue"].map(languageName)).toEqual([
    "German",
    "Austrian German",
    "Arabic",
    "Cantonese",
  ]);
  expect(["zh-yue", "xx", ""].map(languageName)).toEqual(["zh-yue", "xx", ""]);
  expect(["es", "fr", "ja", "hi", "ar", "tr"].map(ownLanguageName)).toEqual([
    "Español",
    "Français",
    "日本語",
    "हिन्दी",
    "العربية",
    "Türkçe",
  ]);
});

test("recognisers get the code that they know", () => {
  expect(
    ["de-AT", "pt-BR", "nb", "nn-NO", "jv", "fil-PH", "zh-Hant-TW"].map(recogniserCode),
  ).toEqual(["de", "pt", "no", "nn", "jw", "tl", "zh"]);
});

test("what a recogniser detects is understood as a code and as an English name", () => {
  const reported = ["de", "german", "German", "jw", "portuguese", "zh-CN", " JA "];
  expect(reported.map(detectedLanguage)).toEqual(["de", "de", "de", "jv", "pt", "zh-CN", "ja"]);
  const names = ["norwegian", "nynorsk", "bengali", "maori", "myanmar", "haitian creole"];
  expect(names.map(detectedLanguage)).toEqual(["no", "nn", "bn", "mi", "my", "ht"]);
  const nothing = [
    undefined,
    null,
    "",
    "unknown",
    "xx",
    "constructor",
    "<script>",
    "a".repeat(500),
  ];
  expect(nothing.map(detectedLanguage)).toEqual(nothing.map(() => undefined));
});

test("a language is the same in every region", () => {
  expect(sameLanguage("de-AT", "de")).toBe(true);
  expect(sameLanguage("nb", "no")).toBe(true);
  expect(sameLanguage("de", "nl")).toBe(false);
});
