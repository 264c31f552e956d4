import { isVideoCredit } from "./video-credits.ts";

/** Less speech than this, in ms, is too little for the credits that recognisers hear in noise. */
const WEAK_MS = 500;
/** Less speech than this, in ms, is too little for a word; a click of 150 ms is detected as 220. */
const WORDLESS_MS = 280;
/** The shortest word in a row of the same words takes this long, in ms. */
const SHORTEST_WORD_MS = 60;
/** How often a phrase of at most `LONGEST_LOOP` words has to follow itself to count as a loop. */
const FEWEST_REPETITIONS = 4;
const LONGEST_LOOP = 6;

/** What Whisper writes for music. */
const MUSIC = "♩♪♫♬🎵🎶¶";
/** A marked part of a text, without marks inside it; the marks of a kind are in one alternative. */
const MARKED = new RegExp(
  [
    /\[([^[\]]*)\]/,
    /\(([^()]*)\)/,
    /\{([^{}]*)\}/,
    /（([^（）]*)）/,
    /［([^［］]*)］/,
    /【([^【】]*)】/,
    /〔([^〔〕]*)〕/,
    /\*+([^*]+)\*+/,
    /(?<![\p{L}\p{N}])_+([^_]+)_+(?![\p{L}\p{N}])/u,
  ]
    .map(({ source }) => source)
    .join("|"),
  "gu",
);
/** Marks of recognisers that are never words: `<|nospeech|>`, `<unk>`, `[_TT_50]`, times, songs. */
const TECHNICAL = new RegExp(
  [
    /<\|[^|<>]*\|>/,
    /<\/?[a-z][^<>]{0,40}>/,
    /\[_?[A-Z]+(?:_[A-Z0-9]+)+_?\]/,
    /\[_[A-Z]+_\]/,
    /\[[\d:.,\s]+(?:-->[\d:.,\s]+)?\]/,
    `[${MUSIC}]+[^${MUSIC}]*(?:[${MUSIC}]+|$)`,
  ]
    .map((part) => (typeof part === "string" ? part : part.source))
    .join("|"),
  "gu",
);
/** The beginning of a note whose end has not arrived yet. */
const OPEN_NOTE = new RegExp(
  `(?:[[({（［【〔<][^\\])}）］】〕>]*|[${MUSIC}][^${MUSIC}]*|(?<=^\\s*)\\*+[^*]*)$`,
  "u",
);

/** What notes on sounds are about, for those that stand beside words. */
const SOUNDS = new RegExp(
  [
    // English; the names of things that also sound are left out, since people talk about them.
    "music|applau|clapping|laugh|chuckl|giggl|cough|sneez|sniff|sigh|inhal|exhal|breath|gasp|groan",
    "moan|grunt|yawn|whistl|hiccup|burp|sobbing|crying|scream|humming|singing|noise|static|silence",
    "blank.?audio|inaudible|unintelligible|indistinct|no.?speech|foreign|speaking|chatter|crosstalk",
    "keyboard|typing|clicking|tapping|knocking|beep|buzz|ringing|chirping|barking|meowing|footsteps",
    "clears (?:his |her |their )?throat|cheering|rustling|sound",
    // German, Dutch, Scandinavian.
    "musik|muziek|applaus|applåd|gelächter|lachen|lacht|hust|räusper|niest|seufz|stille|geräusch",
    "rauschen|klatschen|unverständlich|gelach|hoest|stilte|geluid|skratt|latter",
    // Romance languages.
    "músic|musique|musica|aplaus|risas|risos|risate|rires?$|tos$|toux|tousse|tosse|silenci|silêncio",
    "silenzio|ruido|ruído|rumore|bruit|suspir|soupir|applaudi",
    // Slavic languages, Turkish.
    "музык|музик|смех|сміх|смеет|аплодис|кашел|кашля|тишина|шум|вздых|muzyk|śmiech|oklaski|kasz",
    "hudba|smích|potlesk|müzik|alkış|gülme|gülüş|öksür",
    // Arabic, Persian, Hebrew, Hindi.
    "موسيق|موسیق|تصفيق|ضحك|سعال|صمت|خنده|מוזיקה|צחוק|संगीत|ताली|तालिय|हँस|हंस|खाँस|खांस",
    // Chinese, Japanese, Korean.
    "音乐|音樂|音楽|掌声|掌聲|拍手|笑|咳|静音|無音|沈黙|噪音|雑音|음악|박수|웃음|기침|침묵|소음",
  ].join("|"),
  "iu",
);

/**
 * The words of a recogniser's text: without its notes on sounds (`[BLANK_AUDIO]`, `(laughs)`, `♪`),
 * and empty for what recognisers make of noise, such as the credits of a video. Brackets inside a
 * sentence stay, since people dictate them.
 *
 * @param voicedMs how much speech was detected in the audio; by default enough for any text
 */
export function wordsIn(text: string, voicedMs: number = Number.POSITIVE_INFINITY): string {
  const plain = text.replace(TECHNICAL, " ");
  // Alone, whatever stands in brackets is a note. Numbers may be what somebody dictated.
  if (!hasWords(withoutMarked(plain, (note) => !/\d/.test(note)))) return "";
  const words = withoutMarked(plain, (note) => SOUNDS.test(note));
  if (!hasWords(words)) return "";
  const tidy = words === text ? words.trim() : words.replace(/\s+/g, " ").trim();
  if (isHeardInNoise(tidy, voicedMs)) return "";
  // Whisper's most frequent answer to silence; it writes a capital or a full stop for a person.
  const shortest = text === " you" ? WEAK_MS : WORDLESS_MS;
  return tidy === "you" && voicedMs < shortest ? "" : tidy;
}

/** The same for a text that is still growing: a note that has begun is left out as well. */
export function interimWordsIn(text: string, voicedMs: number): string {
  // Until there is enough speech for them, an interim may become a note or a credit.
  return voicedMs < WEAK_MS ? "" : wordsIn(text.replace(OPEN_NOTE, ""), voicedMs);
}

function withoutMarked(text: string, isNote: (note: string) => boolean): string {
  const removed = text.replace(MARKED, (marked, ...groups: (string | undefined)[]) => {
    const note = groups.find((group) => typeof group === "string") ?? "";
    return isNote(note) ? " " : marked;
  });
  return removed === text ? text : withoutMarked(removed, isNote);
}

function hasWords(text: string): boolean {
  return /[\p{L}\p{N}]/u.test(text);
}

function isHeardInNoise(text: string, voicedMs: number): boolean {
  return isVideoCredit(text, voicedMs < WEAK_MS) || isLoop(text, voicedMs);
}

/** Whether one phrase is repeated more often than a person could have said it in the time. */
function isLoop(text: string, voicedMs: number): boolean {
  const spaced = text.toLowerCase().match(/[\p{L}\p{M}\p{N}'’]+/gu) ?? [];
  const words = spaced.length === 1 ? Array.from(spaced[0] ?? "") : spaced;
  if (words.length * SHORTEST_WORD_MS <= voicedMs) return false;
  for (let period = 1; period <= LONGEST_LOOP; period += 1) {
    if (words.length < period * FEWEST_REPETITIONS) return false;
    if (words.every((word, at) => word === words[at % period])) return true;
  }
  return false;
}
