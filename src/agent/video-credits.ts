/**
 * Lines from the subtitles that Whisper and its kin were trained on. They appear where there is
 * noise or silence instead of speech, in all languages
 * (https://github.com/openai/whisper/discussions/928). Matched against a text without punctuation.
 */

/** Nobody says these to a voice agent. */
const ALWAYS = [
  // English and who makes subtitles for many languages.
  /(?:\S+ ){0,8}amara ?\.?org(?: \S+){0,4}/,
  /字幕.*amara.*/,
  /(?:subtitles|subtitled|captions|captioned|transcribed|transcription) by .{1,40}/,
  // German.
  /untertitel(?:ung)? (?:im auftrag |der |des |von |durch ).{1,60}/,
  /copyright (?:wdr|zdf|ndr|swr|ard) \d{4}/,
  // French, Spanish, Portuguese, Italian.
  /sous titr(?:es|age) (?:réalisés?|fait|par|st|société|de la) ?.{0,60}/,
  /subtítulos (?:realizados |creados )?por (?:la comunidad ?)?.{0,40}/,
  /legendas? (?:pela comunidade|por) .{0,40}/,
  /sottotitoli (?:creati|e revisione|a cura) .{0,60}/,
  // Dutch, Scandinavian, Slavic, Turkish.
  /ondertitel(?:d|ing|ingen) (?:door|ingediend door) .{1,40}/,
  /(?:undertexter|undertekster|tekstet|tekster) (?:från|av|fra|af) .{1,40}/,
  /(?:titulky vytvořil|napisy stworzone przez) .{1,40}/,
  /(?:редактор субтитров|субтитры (?:сделал|создавал|подогнал|делал|создал)) ?.{0,60}/,
  /altyazı m ?k/,
  // Chinese.
  /(?:中文)?字幕(?:由|提供|志愿者|志願者|制作|製作|by).{0,30}/,
];

/** A person may say these, but not in half a second. */
const WHEN_WEAK = [
  // English.
  /(?:okay |so |and )?(?:thank you|thanks|thank u)(?: all| guys| everyone| so much| very much)*(?: for (?:watching|listening|viewing|your attention))(?: .{0,60})?/,
  /(?:please |and |don t forget to |make sure to |remember to )*(?:subscribe\b|(?:like|share|hit)\b.{0,40}\b(?:subscribe|channel|bell)\b).{0,40}/,
  /(?:i ll |we ll )?see you (?:guys )?(?:next time|in the next (?:video|one))(?: bye)*/,
  // German.
  /(?:vielen dank|danke|herzlichen dank)(?: schön)? (?:fürs?|für das) (?:zuschauen|zusehen|zuhören)(?: .{0,40})?/,
  /(?:bis zum nächsten mal|abonniert? .{0,30}kanal.{0,20})/,
  // French, Spanish, Portuguese, Italian.
  /merci (?:à tous |beaucoup )?d avoir (?:regardé|écouté)(?: .{0,40})?/,
  /(?:n oubliez pas de (?:vous abonner|liker).{0,40}|abonnez vous.{0,40})/,
  /(?:muchas )?gracias por (?:ver|mirar|escuchar|su atención|vernos)(?: .{0,40})?/,
  /suscr[íi]b(?:ete|anse|ase).{0,40}/,
  /(?:muito )?obrigad[oa]s? por (?:assistir|ver|ouvir)(?:em)?(?: .{0,40})?/,
  /(?:inscreva se|se inscreva).{0,40}/,
  /grazie (?:a tutti )?per (?:aver guardato|la visione|l attenzione|l ascolto)(?: .{0,40})?/,
  /iscriv(?:iti|etevi).{0,40}/,
  // Dutch, Scandinavian, Slavic, Turkish, Vietnamese, Indonesian.
  /(?:bedankt|dank (?:je|u|jullie)(?: wel)?) voor het (?:kijken|luisteren)(?: .{0,40})?/,
  /(?:tack|takk|tak) (?:för att|for at|fordi) .{0,20}(?:titta|så|ser|så med).{0,20}/,
  /(?:dziękuj[ęe](?:my)?|dzięki) za (?:uwagę|obejrzenie|oglądanie)(?: .{0,40})?/,
  /(?:děkuji|děkujeme) za (?:pozornost|sledování)(?: .{0,40})?/,
  /(?:продолжение следует|спасибо за (?:просмотр|внимание)|подписывайтесь на (?:мой |наш )?канал)(?: .{0,40})?/,
  /(?:далі буде|дякую за (?:перегляд|увагу))(?: .{0,40})?/,
  /[iİ]zlediğiniz için teşekkür(?:ler| ederim| ederiz)?/,
  /(?:abone ol|abone olmay[ıi] unutmay[ıi]n).{0,40}/,
  /(?:cảm ơn các bạn đã|hãy subscribe cho kênh).{0,60}/,
  /terima kasih (?:sudah|telah|karena)(?: telah)? menonton(?: .{0,40})?/,
  // Arabic, Hindi.
  /(?:شكرا|شكرًا)(?: جزيلا)? (?:لكم )?(?:على |لل)?(?:ال)?(?:لل)?(?:مشاهد|متابع|استماع).{0,40}/,
  /(?:لا تنسوا )?(?:ال)?اشتر(?:كوا|اك) (?:في|ب)(?: ?ال)?قنا.{0,40}/,
  /(?:वीडियो )?देखने के लिए (?:आपका )?(?:बहुत )?धन्यवाद/,
  // Chinese, Japanese, Korean.
  /(?:感谢|谢谢|感謝|謝謝)(?:大家|您的?|你们|你們)?(?:的)?(?:观看|收看|收听|觀看|收聽).{0,20}/,
  /(?:请|請)不吝(?:点赞|點贊|點讚).{0,40}/,
  /(?:请|請)?(?:订阅|訂閱).{0,20}/,
  /(?:最後まで)?(?:ご視聴|ご覧)(?:いただ|頂|下さ|くださ)?(?:き|い)?.{0,6}ありがとうござい(?:ました|ます)/,
  /(?:チャンネル登録|高評価).{0,40}/,
  /(?:また)?次の(?:動画|ビデオ)でお会いしましょう/,
  /(?:오늘도 |끝까지 )?(?:시청|봐|들어) ?해? ?주셔서 (?:대단히 )?(?:감사합니다|고맙습니다)/,
  /(?:구독|좋아요).{0,30}(?:부탁|눌러|주세요).{0,20}/,
  /다음 (?:영상|시간)에서? (?:만나요|뵙겠습니다|봐요)/,
];

const always = whole(ALWAYS);
const whenWeak = whole([...ALWAYS, ...WHEN_WEAK]);

/** Several lines may follow each other. */
function whole(lines: readonly RegExp[]): RegExp {
  const any = lines.map(({ source }) => source).join("|");
  return new RegExp(`^(?:(?:${any})(?: |$))+$`, "iu");
}

/**
 * Whether a text is a line from a video's credits that a recogniser heard in noise.
 *
 * @param isWeak whether there was too little speech for such a sentence
 */
export function isVideoCredit(text: string, isWeak: boolean): boolean {
  if (text.length > 200) return false;
  const plain = text
    .normalize("NFC")
    .replace(/[^\p{L}\p{M}\p{N}]+/gu, " ")
    .trim();
  return (isWeak ? whenWeak : always).test(plain);
}
