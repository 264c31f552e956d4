/** The languages whose numbers, units and signs are turned into words. */
export const SPOKEN_LANGUAGES = [
  "en",
  "de",
  "es",
  "fr",
  "it",
  "pt",
  "nl",
  "ja",
  "zh",
  "hi",
  "ar",
] as const;

export type SpokenLanguage = (typeof SPOKEN_LANGUAGES)[number];

/** Scripts that one of the languages has for itself, the most telling first. */
const SCRIPTS: readonly [RegExp, SpokenLanguage][] = [
  [/[\p{Script=Hiragana}\p{Script=Katakana}]/gu, "ja"],
  [/\p{Script=Han}/gu, "zh"],
  [/\p{Script=Devanagari}/gu, "hi"],
  [/\p{Script=Arabic}/gu, "ar"],
];

/** Addresses are Latin in every language. */
const ADDRESS = /[\x21-\x7E]*(?:@|:\/\/|www\.)[\x21-\x7E]*/g;

/** Letters of languages that share a script with one above and are none of them. */
const OTHER_LANGUAGES = /[پچژگکیٹڈڑےھ]/u;

/** Frequent short words, of which any sentence has some. */
const COMMON_WORDS: Readonly<Partial<Record<SpokenLanguage, readonly string[]>>> = {
  en: words(
    "the and is are was were of to in it you that this with for not have has be can will my your there here hello yes please what how we they he she at on by from but or if do does which would could should about just one all its who when people good day it's i'm don't that's she's he's we're you're isn't can't than then into out up me us him as no some more three two",
  ),
  de: words(
    "der die das und ist sind war nicht ein eine einen einem einer zu mit für auf ich du sie wir es den dem des von vom im am hallo ja bitte was wie auch kann hat haben wird bei oder aber nach aus um noch nur sehr gut heute man kostet uhr zum zur bzw ca lautet liegt gibt mehr viel sich dass wenn über unter zwischen jahr tag man",
  ),
  es: words(
    "el la los las son no un una que de del en por para con se lo está hay hola sí qué cómo su más pero muy al es este esta fue como buenos cuesta hoy tiene gracias",
  ),
  fr: words(
    "le la les et est sont ne pas un une que de des du en pour avec il elle vous je nous c'est ce dans bonjour oui qui sur au aux très cette fait coûte aujourd'hui mais ou où merci l'heure",
  ),
  it: words(
    "il lo la gli è sono non un una che di del della in per con si ciao sì come questo anche ma più nel al dei delle oggi costa molto grazie sul",
  ),
  pt: words(
    "os as é são não um uma que de do da em por para com se está olá sim como mais mas você muito no na ao dos das hoje custa isso obrigado foi",
  ),
  nl: words(
    "de het een en is zijn niet van te in op met voor ik je dat die er hallo ja wat hoe ook maar kan heeft naar aan bij uur vandaag kost goed dit wordt om",
  ),
};

/** Languages of the same script, so that they are not taken for one of the above. */
const OTHER_COMMON_WORDS: readonly (readonly string[])[] = [
  "det är och att en som på för inte jag med till den har av om ett vi kan idag",
  "det er og at en som på for ikke jeg med til den har av af om et vi kan dag i",
  "to jest nie się na że do jak ale czy tak dla po za od przez już są było",
  "bir ve bu için de da ne ile çok var daha gibi olarak ama mı değil",
  "je na se že to si ve pro jak ale tak do za by jsem jako co nebo",
  "și este în cu la pe nu să un o din pentru care mai sunt dar",
  "és az egy hogy nem van meg ez de csak már ha mint",
  "ja on ei se että hän mutta kun niin ovat tai myös joka",
  "yang dan di itu dengan untuk tidak ini dari dalam ada akan pada ke",
  "và là của có không được cho một trong với những người này đã",
].map(words);

/** Letters and marks of one language alone; each counts like a word. */
const LETTERS: Readonly<Partial<Record<SpokenLanguage, RegExp>>> = {
  de: /ß/gu,
  es: /[ñ¿¡]/gu,
  fr: /[œù]/gu,
};

/**
 * The language of a text, by its script and its most frequent words. The chosen language wins
 * unless the text clearly is in another one: models sometimes answer in the language of the
 * question. Null means that none of the languages fits.
 *
 * @param chosen an ISO 639-1 code, or null for no choice
 * @param assumed the language of a text without any word that tells
 */
export function languageOf(
  written: string,
  chosen: string | null,
  assumed: SpokenLanguage | null = null,
): SpokenLanguage | null {
  const text = written.replace(ADDRESS, " ");
  const preferred = SPOKEN_LANGUAGES.find((language) => language === chosen) ?? null;
  const latin = count(text, /\p{Script=Latin}/gu);
  const script = SCRIPTS.find(([letters]) => count(text, letters) * 2 > latin);
  if (script) {
    if (script[1] === "zh" && preferred === "ja") return preferred;
    if (script[1] === "ar" && OTHER_LANGUAGES.test(text)) return null;
    return isOtherLanguage(chosen, preferred) ? null : script[1];
  }
  // A script that none of the languages has, such as Cyrillic.
  if (count(text, /\p{L}/gu) > latin * 2 + 2) return null;
  if (isOtherLanguage(chosen, preferred)) return null;
  return byWords(text, preferred, assumed);
}

/** A language was chosen, and it is none that numbers can be read in. */
function isOtherLanguage(chosen: string | null, preferred: SpokenLanguage | null): boolean {
  return chosen !== null && preferred === null;
}

function byWords(
  text: string,
  preferred: SpokenLanguage | null,
  assumed: SpokenLanguage | null,
): SpokenLanguage | null {
  const lower = text.toLowerCase();
  const found = lower.match(/(?<![\p{L}.])[\p{L}'’]{2,}|[èéy](?!\p{L})/gu) ?? [];
  const scores = Object.entries(COMMON_WORDS).map(([language, common]) => {
    const letters = LETTERS[language as SpokenLanguage];
    const score = hits(found, common) + (letters ? count(lower, letters) : 0);
    return { language: language as SpokenLanguage, score };
  });
  scores.sort((a, b) => b.score - a.score);
  const [best, second] = scores;
  if (!best) return preferred;
  const others = OTHER_COMMON_WORDS.map((common) => hits(found, common));
  const lead = best.score - Math.max(second?.score ?? 0, ...others);
  // English words are in all kinds of texts, so that others must have more.
  const isTold = lead > 0 || (lead === 0 && best.score > 0 && best.language === "en");
  if (Math.max(best.score, ...others) === 0) return preferred ?? assumed;
  if (preferred === null) return isTold ? best.language : null;
  const own = scores.find(({ language }) => language === preferred)?.score ?? 0;
  return best.score >= 4 && own * 3 < best.score && lead > 0 ? best.language : preferred;
}

/** Whether a word, with the marks around it, is one of the most frequent of some language. */
export function isCommonWord(word: string): boolean {
  const bare = word.toLowerCase().replace(/^[^\p{L}]+|[^\p{L}]+$/gu, "");
  return [...Object.values(COMMON_WORDS), ...OTHER_COMMON_WORDS].some((list) =>
    list.includes(bare),
  );
}

function hits(found: readonly string[], common: readonly string[]): number {
  return found.filter((word) => common.includes(word)).length;
}

function count(text: string, pattern: RegExp): number {
  return text.match(pattern)?.length ?? 0;
}

function words(list: string): string[] {
  return list.split(" ");
}
