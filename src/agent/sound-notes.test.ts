import { describe, expect, test } from "bun:test";
import { interimWordsIn, wordsIn } from "./sound-notes.ts";

/** Enough speech for any text, and about as much as a cough. */
const LONG_MS = 3000;
const SHORT_MS = 260;

describe("a sound", () => {
  test.each([
    "[BLANK_AUDIO]",
    " [BLANK_AUDIO]",
    "[ Silence ]",
    "[SILENCE] [BLANK_AUDIO]",
    "(keyboard clicking)",
    "(door closes) (footsteps)",
    "((laughs))",
    "*coughs*",
    "* coughs *",
    "**sighs**",
    "_laughter_",
    "[Music]",
    "[Music playing].",
    "♪♪",
    "♪",
    "🎵 🎵",
    "¶¶",
    "♪ la la la ♪",
    "♪ Twinkle, twinkle, little star",
    "<|nospeech|>",
    "<|en|><|EVENT_UNK|><|BGM|><|withitn|>",
    "<unk>",
    "<noise>",
    "{noise}",
    "[_BEG_][_TT_50]",
    "[00:00:00.000 --> 00:00:02.000]  [BLANK_AUDIO]",
    " .",
    "...",
    "…",
    "。",
    "?!",
    "- -",
    "(음악)",
    "[音楽]",
    "（拍手）",
    "【笑い声】",
    "[Música]",
    "(Musik)",
    "[موسيقى]",
    "(тяжело дышит)",
    "[संगीत]",
    "(speaking in foreign language)",
    "",
    "  ",
  ])("is no word: %s", (text) => {
    expect(wordsIn(text, LONG_MS)).toBe("");
  });
});

describe("words", () => {
  test.each([
    "The value [x] is three.",
    "The value is f(x).",
    "Call (555) 123-4567.",
    "(555)",
    "Thank you.",
    "Thank you very much.",
    "you",
    "You.",
    "okay (really)",
    "okay [laut]",
    "Music",
    "music.",
    "Applause!",
    "This is *bold* and _that_ is not.",
    "snake_case_name",
    "3 < 5 > 2",
    "Bye.",
    "Bye-bye.",
    "Silence, please!",
    "No, no, no, no!",
    "Ha ha ha ha.",
    "42",
    "0 1 7 2",
    "はい。",
    "음악 틀어줘",
  ])("stay as they are: %s", (text) => {
    expect(wordsIn(text, 700)).toBe(text);
  });

  test.each([
    ["[coughs] hello", "hello"],
    ["Hello (laughs) there.", "Hello there."],
    ["hello [Music]", "hello"],
    ["[00:00:00.000 --> 00:00:02.000]   Hello there.", "Hello there."],
    ["<|de|><|NEUTRAL|><|Speech|><|withitn|>Guten Tag.", "Guten Tag."],
    ["♪ la la ♪ Hello.", "Hello."],
    ["(hustet) Ja, gern.", "Ja, gern."],
    ["(박수) 안녕하세요", "안녕하세요"],
    ["Yes. [BLANK_AUDIO]", "Yes."],
    ["  Hello.  ", "Hello."],
  ])("are kept without the notes beside them: %s", (text, words) => {
    expect(wordsIn(text, 700)).toBe(words);
  });
});

const CREDITS = [
  "Thank you for watching!",
  "Thanks for watching",
  "Thanks for watching, and I'll see you in the next video.",
  "Please subscribe to my channel.",
  "Please like and subscribe!",
  "Don't forget to subscribe.",
  "Vielen Dank fürs Zuschauen!",
  "Merci d'avoir regardé cette vidéo !",
  "¡Gracias por ver el video!",
  "¡Suscríbete al canal!",
  "Obrigado por assistir!",
  "Grazie per aver guardato il video",
  "Bedankt voor het kijken.",
  "Dziękuję za uwagę.",
  "Продолжение следует...",
  "Спасибо за просмотр!",
  "İzlediğiniz için teşekkür ederim.",
  "شكرا للمشاهدة",
  "اشتركوا في القناة",
  "देखने के लिए धन्यवाद",
  "感谢观看",
  "谢谢大家观看",
  "请不吝点赞 订阅 转发 打赏支持明镜与点点栏目",
  "ご視聴ありがとうございました",
  "最後までご視聴いただきありがとうございました。",
  "チャンネル登録をお願いいたします",
  "시청해주셔서 감사합니다",
  "시청해 주셔서 감사합니다.",
  "구독과 좋아요 부탁드립니다",
  "Thank you for watching! Thank you for watching!",
  "Abone olmayı unutmayın",
  "次の動画でお会いしましょう",
];

describe("credits of a video", () => {
  test.each(CREDITS)("are no words in half a second: %s", (text) => {
    expect(wordsIn(text, SHORT_MS)).toBe("");
  });

  test.each(CREDITS)("may be said by somebody who takes the time: %s", (text) => {
    expect(wordsIn(text, LONG_MS)).toBe(text);
  });

  test.each([
    "Subtitles by the Amara.org community",
    "Untertitel der Amara.org-Community",
    "Untertitel im Auftrag des ZDF für funk, 2017",
    "Untertitelung des ZDF, 2020",
    "Sous-titres réalisés par la communauté d'Amara.org",
    "Sous-titrage Société Radio-Canada",
    "Subtítulos realizados por la comunidad de Amara.org",
    "Subtítulos por la comunidad de Amara.org",
    "Legendas pela comunidade Amara.org",
    "Sottotitoli creati dalla comunità Amara.org",
    "Ondertiteld door de Amara.org gemeenschap",
    "Napisy stworzone przez społeczność Amara.org",
    "Субтитры создавал DimaTorzok",
    "Редактор субтитров А.Семкин Корректор А.Егорова",
    "Altyazı M.K.",
    "Ondertitels ingediend door de Amara.org gemeenschap",
    "字幕由Amara.org社区提供",
    "字幕by索兰娅",
    "中文字幕志愿者 李宗盛",
  ])("that name who wrote them are never words: %s", (text) => {
    expect(wordsIn(text, LONG_MS)).toBe("");
  });
});

test.each(["like what", "Share it.", "See you later.", "Thank you.", "you", "Bye.", "okay"])(
  "short words that begin like a credit are words: %s",
  (text) => {
    expect(wordsIn(text, 320)).toBe(text);
  },
);

describe("what recognisers repeat in noise", () => {
  test.each([
    "you you you you you you you you",
    "Thank you. Thank you. Thank you. Thank you. Thank you.",
    "ああああああああああああ",
    "I'm sorry. I'm sorry. I'm sorry. I'm sorry.",
  ])("is no word where nobody could have said it so fast: %s", (text) => {
    expect(wordsIn(text, SHORT_MS)).toBe("");
    expect(wordsIn(text, 5000)).toBe(text);
  });

  test("a lone “you” needs the time of a word", () => {
    expect(wordsIn("you", 224)).toBe("");
    expect(wordsIn(" you", 416)).toBe("");
    expect(wordsIn(" you", 700)).toBe("you");
    expect(wordsIn("You.", 224)).toBe("You.");
  });
});

describe("a text that still grows", () => {
  test.each(["[BLANK", "[", "(keyboard cli", "*cou", "♪ la", "<|no", "（拍"])(
    "does not show the beginning of a note: %s",
    (text) => {
      expect(interimWordsIn(text, LONG_MS)).toBe("");
      expect(interimWordsIn(`Hello there ${text.replace("*cou", "(cou")}`, LONG_MS)).toBe(
        "Hello there",
      );
    },
  );

  test("shows nothing before there is enough speech for words", () => {
    expect(interimWordsIn("Thank you", SHORT_MS)).toBe("");
    expect(interimWordsIn("Thank you", LONG_MS)).toBe("Thank you");
  });
});

test("notes in any combination around words leave the words", () => {
  const notes = ["[coughs]", "(Musik)", "（拍手）", "<|nospeech|>", "[BLANK_AUDIO]", "(laughs)"];
  const words = ["", "Hello there.", "Ja, gern.", "The value [x] is three.", "안녕하세요"];
  for (const before of notes) {
    for (const after of notes) {
      for (const text of words) {
        expect(wordsIn(`${before} ${text} ${after}`, LONG_MS)).toBe(text);
        expect(wordsIn(`${before}${after}${text}`, LONG_MS)).toBe(text);
      }
    }
  }
});
