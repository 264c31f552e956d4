import { languageName, sameLanguage } from "../domain/language.ts";
import type { Session } from "../domain/session.ts";
import type { StageProviders } from "../domain/stage.ts";
import type { Notice } from "../domain/transcript.ts";
import { capitalised, STAGE_NOUNS } from "../lib/words.ts";

/** The languages of a local model, as the catalogue lists them; undefined where it does not. */
export type LanguagesOf = (modelId: string) => Promise<readonly string[] | undefined>;

/**
 * What to tell the person if local models hear or speak other languages than the one that is
 * chosen. Servers are not judged, since they do not say what their models know.
 */
export async function languageNotice(
  { language, stt_model, tts_model }: Session,
  stages: Pick<StageProviders, "stt" | "tts">,
  languagesOf: LanguagesOf,
): Promise<Notice | undefined> {
  if (language === null) return undefined;
  const knows = async (model: string) => {
    const known = await languagesOf(model);
    return known === undefined || known.some((one) => sameLanguage(one, language));
  };
  const [hears, speaks] = await Promise.all([
    !stages.stt.isEngine || knows(stt_model),
    !stages.tts.isEngine || knows(tts_model),
  ]);
  if (hears && speaks) return undefined;
  const who = [...(hears ? [] : [STAGE_NOUNS.stt]), ...(speaks ? [] : [STAGE_NOUNS.tts])];
  const [verb, object] = who.length === 1 ? ["does", "another model"] : ["do", "other models"];
  const subject = capitalised(who.join(" and "));
  return {
    code: "language_unknown",
    message: `${subject} on this machine ${verb} not know ${languageName(language)}. Choose ${object} on the Models page.`,
    ...(who.length === 1 ? { stage: hears ? "tts" : "stt" } : {}),
    transient: false,
  };
}
