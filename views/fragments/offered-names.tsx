/** @jsxImportSource hono/jsx */
import type { OfferedNames } from "../../src/domain/provider.ts";
import type { Stage } from "../../src/domain/stage.ts";
import { STAGE_NAMES } from "../../src/lib/words.ts";

/** The id of the list that offers names for a field. */
export function listId(formId: string, field: string): string {
  return `${formId}-${field}-names`;
}

/** What a server offers for each stage of a form; a text says why it offers nothing. */
export type OfferedByStage = Partial<Record<Stage, OfferedNames>>;

/** The names that a server lists, for the fields of a form; below it in words. */
export function OfferedLists(props: { id: string; offered: OfferedByStage; problem?: string }) {
  const { id, offered, problem } = props;
  const stages = Object.entries(offered) as [Stage, OfferedNames][];
  const [first] = stages;
  return (
    <>
      {stages.map(([stage, { models, voices }]) => (
        <>
          <Names id={listId(id, `${stage}_model`)} names={models} />
          {stage === "tts" ? <Names id={listId(id, "tts_voice")} names={voices} /> : null}
        </>
      ))}
      {problem === undefined ? null : <p class="small muted wrap">{problem}</p>}
      {first === undefined ? null : (
        <div class="small muted wrap">
          <p>Found at {first[1].baseURL}.</p>
          {stages.map(([stage, names]) => (
            <p>{sentence(stage, names, stages.length > 1)}</p>
          ))}
        </div>
      )}
    </>
  );
}

function Names({ id, names }: { id: string; names: readonly string[] }) {
  return (
    <datalist id={id}>
      {names.map((name) => (
        <option value={name}></option>
      ))}
    </datalist>
  );
}

function sentence(stage: Stage, { models, voices }: OfferedNames, several: boolean): string {
  const name = several ? `${STAGE_NAMES[stage]}: ` : "";
  const listed = [counted("model", models), voices.length > 0 ? counted("voice", voices) : ""];
  return `${name}${listed.filter((part) => part !== "").join(", ")}.`;
}

function counted(what: string, names: readonly string[]): string {
  if (names.length === 0) return `no ${what} listed`;
  if (names.length === 1) return `${what} ${names[0]}, used if the field is empty`;
  return `${names.length} ${what}s to choose from`;
}
