/**
 * Words that often precede a pause but hardly ever end a sentence: conjunctions, prepositions,
 * articles and fillers, by language (ISO 639-1).
 */
const WORDS: Readonly<Record<string, string>> = {
  en: "and|but|or|so|because|if|when|that|which|the|a|an|to|of|for|with|from|in|at|my|your|our|their|his|her|is|are|was|i|we|um+|uh+|er+|hmm+|like|well|then",
  de: "und|aber|oder|weil|dass|denn|sondern|wenn|ob|obwohl|damit|der|die|das|den|dem|des|ein|eine|einen|einem|einer|mein|meine|meinen|meiner|dein|deine|unser|unsere|ihr|ihre|sein|seine|zu|zum|zur|von|vom|für|mit|bei|beim|nach|aus|in|im|ins|am|auf|über|unter|ist|sind|war|ich|wir|also|äh+|ähm+|hm+|öhm*",
  es: "y|e|pero|o|u|porque|que|si|cuando|como|aunque|el|la|los|las|un|una|unos|unas|mi|mis|tu|tus|su|sus|nuestro|nuestra|de|del|a|al|en|con|por|para|sin|sobre|desde|hasta|es|son|era|yo|pues|este|eh+|em+|mm+",
  fr: "et|mais|ou|parce que|car|donc|que|qui|si|quand|comme|lorsque|le|la|les|l'|un|une|des|du|de|d'|au|aux|à|en|dans|sur|sous|avec|pour|par|sans|chez|mon|ma|mes|ton|ta|tes|son|sa|ses|notre|votre|leur|est|sont|était|je|j'|nous|alors|euh+|heu+|hum+",
  it: "e|ed|ma|o|perché|che|se|quando|come|il|lo|la|i|gli|le|l'|un|uno|una|di|del|dello|della|dei|delle|a|al|alla|da|dal|dalla|in|nel|nella|con|su|sul|sulla|per|tra|fra|mio|mia|tuo|tua|suo|sua|nostro|nostra|è|sono|era|io|noi|allora|ehm*|uhm*",
  pt: "e|mas|ou|porque|que|se|quando|como|embora|o|a|os|as|um|uma|de|do|da|dos|das|em|no|na|nos|nas|com|por|pelo|pela|para|pra|sem|sobre|até|meu|minha|teu|tua|seu|sua|nosso|nossa|é|são|era|eu|nós|então|hã+|ãh*|hum+|é+",
  nl: "en|maar|of|omdat|want|dat|die|als|wanneer|terwijl|de|het|een|mijn|jouw|zijn|haar|ons|onze|hun|van|voor|met|naar|bij|uit|in|op|aan|over|te|is|was|ik|wij|we|dus|eh+|uh+|uhm*|hm+",
  ru: "и|а|но|или|потому|потому что|что|чтобы|если|когда|как|который|в|во|на|с|со|к|ко|по|для|от|из|у|о|об|за|мой|моя|моё|мои|твой|наш|ваш|это|я|мы|ну|э+|м+",
  hi: "और|लेकिन|मगर|या|क्योंकि|कि|अगर|जब|तो|जो|में|से|को|का|की|के|पर|तक|लिए|मेरा|मेरी|मेरे|मैं|हम|अम+|उम+",
  ar: "و|لكن|ولكن|أو|لأن|إذا|عندما|أن|إن|الذي|التي|ثم|في|من|إلى|على|عن|مع|هل|هذا|هذه|أنا|نحن|يعني|اه+|آه+|ام+",
};

/** The same for languages without spaces, where the end of the text decides. */
const ENDINGS: Readonly<Record<string, string>> = {
  ja: "(?<!こんにち|こんばん|では)は|が|を|に|へ|と|で|から|ので|けど|けれど|けれども|そして|でも|それで|だから|えっと|えーと|ええと|あの|あのー|その|まあ|うーん",
  zh: "和|跟|与|與|但是|可是|或者|因为|因為|所以|如果|虽然|雖然|然后|然後|就是|把|在|从|從|对|對|给|給|我的|你的|那个|那個|这个|這個|嗯|呃",
};

/** Marks that a recogniser may put after a word in the middle of a sentence. */
const MARKS = "[.…。।]*\\s*$";

/**
 * Matches a text whose last word needs a continuation.
 *
 * @param language ISO 639-1; English where it is unknown
 */
export function endsUnfinished(text: string, language: string = "en"): boolean {
  const endings = ENDINGS[language];
  if (endings) return new RegExp(`(?:${endings})${MARKS}`, "u").test(text);
  const words = WORDS[language];
  if (!words) return false;
  return new RegExp(`(?<![\\p{L}\\p{M}\\p{N}])(?:${words})${MARKS}`, "iu").test(text);
}
