/** @jsxImportSource hono/jsx */
import { languageName } from "../../src/domain/language.ts";
import type { Speaker } from "../../src/domain/speaker.ts";
import { showErrorsIn } from "./htmx.tsx";

interface SpeakerFieldProps {
  id: string;
  /** The id of the field that chooses the model. */
  modelField: string;
  speakers: readonly Speaker[];
  chosen: string | undefined;
}

/** Chooses a speaker of a downloaded voice, which can be heard before. */
export function SpeakerField({ id, modelField, speakers, chosen }: SpeakerFieldProps) {
  const result = `${id}-heard`;
  return (
    <div class="stack tight">
      <label for={id}>Voice</label>
      <div class="field-row">
        <select
          id={id}
          name="voice"
          hx-get="/providers/speakers"
          hx-include={`#${modelField}`}
          hx-trigger={`change from:#${modelField}`}
          hx-target={`#${id}`}
          hx-swap="innerHTML"
        >
          <SpeakerOptions speakers={speakers} chosen={chosen} />
        </select>
        <button
          class="button"
          type="button"
          hx-post="/providers/listen"
          hx-include={`#${modelField}, #${id}`}
          hx-target={`#${result}`}
          hx-swap="innerHTML"
          hx-disable="this"
          {...showErrorsIn(result)}
        >
          Listen
        </button>
      </div>
      <div id={result} class="error-slot" aria-live="polite"></div>
    </div>
  );
}

/** The speakers of a voice; none are listed while its files cannot be read. */
export function SpeakerOptions(props: {
  speakers: readonly Speaker[];
  chosen?: string | undefined;
}) {
  const { speakers, chosen } = props;
  return (
    <>
      {speakers.length === 0 ? <option value="">The model's own</option> : null}
      {speakers.map((speaker) => (
        <option value={speaker.id} selected={speaker.id === chosen}>
          {described(speaker)}
        </option>
      ))}
    </>
  );
}

function described({ name, language, gender }: Speaker): string {
  const spoken = language === "mul" ? "several languages" : languageOf(language);
  return [name, [spoken, gender].filter(Boolean).join(", ")].filter(Boolean).join(" – ");
}

function languageOf(tag: string): string | undefined {
  return tag === "und" ? undefined : languageName(tag);
}
