/** Pictures that are letters to Unicode's eyes: what a keycap shows is kept. */
const KEYCAP = /([0-9#*])\uFE0F?\u20E3/gu;
const PICTURES = /[\p{Extended_Pictographic}\p{Emoji_Modifier}\p{Regional_Indicator}]/gu;
/** Signs of the same class that are read. */
const READ_SYMBOLS = "°№℃℉";
const SYMBOLS = new RegExp(`(?![${READ_SYMBOLS}])\\p{So}`, "gu");
/** Joins pictures, selects their look, or spells a flag; joiners between letters are writing. */
const PICTURE_PARTS =
  /[\uFE0E\uFE0F\u{E0020}-\u{E007F}]|(?<![\p{L}\p{M}])\u200D|\u200D(?![\p{L}\p{M}])/gu;
const INVISIBLE = /[\u00AD\u200B\u200E\u200F\u202A-\u202E\u2060\u2066-\u2069\uFEFF]/g;

/** Emoji by their names, and faces made of marks. */
const SHORT_NAMES = /(?<![\p{L}\p{N}:/]):[a-z][a-z\d_]{1,30}:(?![\p{L}\p{N}])|:[+-]1:/gu;
const FACES = /(?<=^|\s)(?:[:;=8]['’]?[-o^]?[)(\]DPp|*]+|<3+|\^_?\^|[xX]D)(?=$|[\s.,!?])/gu;

/** Drops emoji, other pictures, and characters that are not seen. */
export function withoutPictures(text: string): string {
  return text
    .replace(SHORT_NAMES, "")
    .replace(FACES, "")
    .replace(KEYCAP, "$1")
    .replace(PICTURES, "")
    .replace(SYMBOLS, "")
    .replace(PICTURE_PARTS, "")
    .replace(INVISIBLE, "");
}
