import { canonicalTag, languageName, recogniserCode } from "../domain/language.ts";
import type { LocalSttModel } from "../domain/model.ts";
import { readOnnxFile } from "../lib/onnx-file.ts";
import { refusal } from "./openai-http.ts";

/** The languages of every multilingual Whisper model, as ISO 639 codes. */
const WHISPER =
  "af am ar as az ba be bg bn bo br bs ca cs cy da de el en es et eu fa fi fo fr gl gu ha haw he " +
  "hi hr ht hu hy id is it ja jw ka kk km kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt my ne " +
  "nl nn no oc pa pl ps pt ro ru sa sd si sk sl sn so sq sr su sv sw ta te tg th tk tl tr tt uk " +
  "ur uz vi yi yo zh";
/** Names such as `moonshine-tiny-en` and `streaming-zipformer-bilingual-zh-en-2023-02-20`. */
const LANGUAGES_IN_NAME =
  /(?:moonshine-(?:tiny|base|small|medium)|zipformer(?:-small|-bilingual|-multi)*)((?:-[a-z]{2}(?![a-z0-9]))+)/;

/**
 * The codes of the languages that a model takes.
 *
 * @returns undefined where its files do not say
 */
function languagesOf(model: LocalSttModel): readonly string[] | undefined {
  switch (model.kind) {
    case "whisper": {
      const properties = propertiesOf(model.encoder);
      if (properties.get("is_multilingual") === "0") return ["en"];
      return (properties.get("all_language_codes") ?? WHISPER.replaceAll(" ", ",")).split(",");
    }
    case "canary":
      return ["en", "es", "de", "fr"];
    case "sense-voice":
      return ["zh", "en", "ja", "ko", "yue"];
    default:
      return LANGUAGES_IN_NAME.exec(model.id)?.[1]?.slice(1).split("-");
  }
}

/** What a network says of itself. A file that cannot be read is reported when it is loaded. */
function propertiesOf(path: string): ReadonlyMap<string, string> {
  try {
    return readOnnxFile(path).properties;
  } catch {
    return new Map();
  }
}

/**
 * The code of the language that is asked for, as the model knows it.
 *
 * @param asked a BCP 47 tag, as a client sends it; undefined where the model is to find out
 * @param param the field it comes from, for the error
 * @throws Failure `invalid` for what is no language, and for one that the model does not know
 */
export function languageFor(
  model: LocalSttModel,
  asked: string | undefined,
  param: string,
): string | undefined {
  const code = codeOf(asked, param);
  const known = code === undefined ? undefined : languagesOf(model);
  if (code === undefined || known === undefined || known.includes(code)) return code;
  const names = known.length > 5 ? `${known.length} others` : known.map(languageName).join(", ");
  throw refusal(
    "invalid",
    `${param}: the model ${model.id} does not know ${languageName(code)}. It knows ${names}.`,
    { param, code: "unsupported_language" },
  );
}

/**
 * The language that a model will hear: the one that is asked for where it knows that, its own where
 * it has only one, and else what it finds out.
 *
 * @throws Failure `invalid` for what is no language
 */
export function languageOrOwn(
  model: LocalSttModel,
  asked: string | undefined,
  param: string,
): string | undefined {
  const code = codeOf(asked, param);
  const known = languagesOf(model);
  if (code === undefined || known === undefined || known.includes(code)) return code;
  return known.length === 1 ? known[0] : undefined;
}

function codeOf(asked: string | undefined, param: string): string | undefined {
  if (!asked) return undefined;
  const tag = canonicalTag(asked.trim());
  if (tag !== undefined) return recogniserCode(tag);
  const example = "is not the code of a language, such as en or de";
  throw refusal("invalid", `${param}: ${JSON.stringify(asked)} ${example}.`, { param });
}

/**
 * What a model says it has heard.
 *
 * @returns a function of the language that it detected in a text and of the one it was set to
 */
export function heardLanguage(model: LocalSttModel) {
  const known = languagesOf(model);
  const only = known?.length === 1 ? known[0] : undefined;
  const takesLanguage = ["whisper", "canary", "sense-voice"].includes(model.kind);
  // A model that detects nothing takes what it hears for English.
  const otherwise = model.kind === "canary" ? "en" : undefined;
  return (detected: string | undefined, asked: string | undefined): string | undefined =>
    only ?? detected ?? (takesLanguage ? asked : undefined) ?? otherwise;
}
