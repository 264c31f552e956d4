/** Marks that end a sentence in scripts that write no space after them. */
const DIRECT_MARK = /[。！？｡．।॥။។]$/u;
/** Marks that end a sentence if a space follows, and the quotes or brackets that close after them. */
const SPACED_MARK = /[.!?…؟۔։።｡。！？।]+["'”’»“‹›)\]」』）】*_~]*$/u;
const CLOSED_AFTER_MARK = /[.!?…؟۔]["'”’»“‹›)\]*_~]+$/u;

/** Abbreviations before a name, a number or more of the sentence: they never end one. */
const NEVER_LAST = abbreviations(
  "al ee dr mr mrs ms st prof rev sgt capt lt mt messrs vs e.g i.e " +
    "z.b d.h u.a o.ä s.o s.u i.d.r bzw ca vgl ggf evtl inkl exkl zzgl bspw sog hrsg mind hr hrn frl sr " +
    "sra dña p.ej p.ex mme mlle dott sig sig.ra avv dhr mevr bijv o.a m.b.t t.o.v d.w.z " +
    "np tzn tzw ul godz dr.inż т.е т.к ул стр им см напр тыс млн млрд např tzv tj örn bkz t.ex bl.a " +
    "d.v.s f.eks bl.a esim ún kb π.χ δηλ jl hlm tp",
);
/** Abbreviations and words like them that may end a sentence; what follows tells. */
const MAYBE_LAST = abbreviations(
  "uu std sek mio mrd einw etc usw usf ff jr inc ltd co corp u.s u.s.a u.k u.n a.m p.m am pm ph.d b.a m.a b.c a.d " +
    "u.v.m v.chr n.chr i.r ecc ss enz cia s.a ave blvd rd no nr nos fig abb art vol cap col gen " +
    "hon ft min max tel str bd geb abs approx est dept univ env ex num núm pág pag p pp n " +
    "u.c i.e.s itd itp др пр д.п н.э atd apod vb vs osv jne stb κ.λπ dll dsb " +
    "jan feb mar apr jun jul aug sep sept oct okt nov dec dez janv févr avr juil déc",
);
/** Those of `MAYBE_LAST` before which a capital letter is rather a name than a new sentence. */
const BEFORE_NAME = abbreviations(
  "u.s u.s.a u.k u.n a.m p.m am pm v.chr n.chr i.r jr inc ltd co corp ph.d b.c a.d ave blvd rd nos fig abb " +
    "art vol cap col gen hon ft min max tel str bd geb est dept univ env ex num núm pág pag pp " +
    "jan feb mar apr jun jul aug sep sept oct okt nov dec dez janv févr avr juil déc",
);
/** A single letter, as in initials and in the parts of "z. B.". */
const INITIAL = /(?:^|[\s.("'„“«])\p{L}\.$/u;
/** An abbreviation of two words: "p. ej.", "ad es.". */
const TWO_WORDS = /(?:^|\s)(?:\p{L}\.|ad)\s\p{L}{1,3}\.$/u;
const WORD_BEFORE_STOP = /(?:^|[^\p{L}\p{M}\p{N}.])((?:\p{L}[\p{L}\p{M}]*\.)*[\p{L}\p{M}]+)\.$/u;
/** A short number with a full stop may be an ordinal, as in the German "am 3. Mai". */
const NUMBER_STOP = /(?:^|[^\p{L}\p{N}])\d{1,3}\.$/u;
const ORDINAL =
  /(?:^|\s)(?:am|der|die|das|dem|den|des|vom|zum|zur|im|ins|bis|ab|seit|jede[mnrs]?|\d{1,2}\.)\s+\d{1,3}\.$/iu;
/** Only the number or letter of a list item, so far. */
const LIST_NUMBER = /^[\s>]*(?:\d{1,4}|\p{L})[.)]\s*$/u;
/** A king or a chapter by its number. */
const ROMAN_STOP = /\s[IVX]{2,6}\.$/;
const ELLIPSIS = /(?:…|\.\.)["'”’»)\]]*$/u;

/** What may follow the mark and is not spoken: footnotes, citations, comments, closing tags. */
const UNSPOKEN_END = /(?:<!--[\s\S]*?-->|<\/\w+>|\[\^?[\w, -]{1,12}\]|【[^】]*】)+$/;

/** Whether a sentence certainly ends here, or may end, depending on what follows. */
export type SentenceEnd = "yes" | "no" | "unclear";

/**
 * Judges whether a text is a whole sentence when white space follows it.
 *
 * @param written the sentence so far, without the white space at its end
 */
export function sentenceEnd(written: string): SentenceEnd {
  const text = written.replace(UNSPOKEN_END, "");
  if (!SPACED_MARK.test(text) || LIST_NUMBER.test(text)) return "no";
  if (ELLIPSIS.test(text)) return "unclear";
  if (isOpen(text, "«", "»")) return "unclear";
  if (!text.endsWith(".")) return CLOSED_AFTER_MARK.test(text) ? "unclear" : "yes";
  const word = WORD_BEFORE_STOP.exec(text)?.[1]?.toLowerCase();
  if (word !== undefined && MAYBE_LAST.has(word)) return "unclear";
  if (word !== undefined && NEVER_LAST.has(word)) return "no";
  if (ORDINAL.test(text) || TWO_WORDS.test(text)) return "no";
  if (INITIAL.test(text)) return /\bI\.$/.test(text) ? "unclear" : "no";
  const isUnclear = NUMBER_STOP.test(text) || ROMAN_STOP.test(text) || isOpen(text, "(", ")");
  return isUnclear ? "unclear" : "yes";
}

/**
 * Whether a text ends with what a name may follow: "U.S.", "5 p.m.", the German "3.". Then only a
 * word that begins sentences settles that one ended.
 */
export function isBeforeName(text: string): boolean {
  const word = WORD_BEFORE_STOP.exec(text)?.[1]?.toLowerCase();
  return NUMBER_STOP.test(text) || (word !== undefined && BEFORE_NAME.has(word));
}

/** Whether a bracket or quotation mark is open at the end: what it holds may be abbreviated. */
function isOpen(text: string, opening: string, closing: string): boolean {
  return text.lastIndexOf(opening) > text.lastIndexOf(closing);
}

/**
 * Settles an unclear end by the first character of what follows: a small letter, a digit or a mark
 * continues the sentence.
 */
export function endsBefore(text: string, next: string): boolean {
  if (/[\p{Ll}\p{P}]/u.test(next) && !/[¿¡"'“„«(*_[`「『（#]/u.test(next)) return false;
  return !/\p{N}/u.test(next) || ELLIPSIS.test(text) || !text.endsWith(".");
}

/**
 * Whether a sentence of a script without spaces ends with its last character. Inside quotes and
 * brackets it goes on: 「はい。」と言った。
 */
export function endsDirectly(text: string): boolean {
  if (!DIRECT_MARK.test(text)) return false;
  const opened = text.match(/[「『（【《〈(]/g)?.length ?? 0;
  const closed = text.match(/[」』）】》〉)]/g)?.length ?? 0;
  return opened <= closed;
}

/** Letters of scripts that separate sentences by a space and words by nothing. */
const SPACELESS = /[\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;
/** Fewer letters are rather a phrase than a sentence. */
const SHORTEST_SPACELESS = 12;

/** Whether a space between two letters of such a script ends a sentence or clause. */
export function endsAtSpace(text: string, next: string): boolean {
  const last = text.at(-1) ?? "";
  return SPACELESS.test(last) && SPACELESS.test(next) && text.length >= SHORTEST_SPACELESS;
}

function abbreviations(list: string): ReadonlySet<string> {
  return new Set(list.split(" "));
}
