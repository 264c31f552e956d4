/** @jsxImportSource hono/jsx */
import { bytesOf, type ListedModel } from "../../src/domain/catalog.ts";
import type { ProviderOverview, StageOverview } from "../../src/domain/provider.ts";
import { formatBytes, STAGE_NAMES } from "../../src/lib/words.ts";
import { ErrorNotice, ErrorSlot, formAttributes } from "./htmx.tsx";

interface SecondProviderProps {
  stage: StageOverview;
  hasOpenAiKey: boolean;
  downloaded: readonly ListedModel[];
}

/** What takes over when a stage fails, and the form that changes it. */
export function SecondProvider({ stage, hasOpenAiKey, downloaded }: SecondProviderProps) {
  const { second } = stage;
  return (
    <div class="stack tight" data-second={second?.use ?? "none"}>
      {second === undefined ? null : (
        <p class="small muted wrap">If it fails: {described(second)}</p>
      )}
      {second?.problem === undefined ? null : <ErrorNotice>{second.problem}</ErrorNotice>}
      {second?.fixedBy === undefined ? (
        <details>
          <summary>
            If it fails…
            <span class="visually-hidden"> ({STAGE_NAMES[stage.stage].toLowerCase()})</span>
          </summary>
          <SecondForm stage={stage} hasOpenAiKey={hasOpenAiKey} downloaded={downloaded} />
        </details>
      ) : (
        <p class="small muted wrap">
          Set by the environment variable <code>{second.fixedBy}</code>.
        </p>
      )}
    </div>
  );
}

function described({ use, baseURL, model, voice }: ProviderOverview): string {
  const named = [model, voice === undefined ? undefined : `voice ${voice}`].filter(Boolean);
  const what = named.length === 0 ? "" : `: ${named.join(", ")}`;
  if (use === "local") return `this machine${what}`;
  return `${use === "openai" ? "OpenAI" : baseURL}${what}`;
}

function SecondForm({ stage, hasOpenAiKey, downloaded }: SecondProviderProps) {
  const id = `${stage.stage}-second`;
  const problem = `${id}-problem`;
  const { second } = stage;
  const local = second?.use === "local" ? second.model : undefined;
  const endpoint = second?.use === "endpoint" ? second : undefined;
  return (
    <form class="second-provider stack" {...formAttributes("/providers/second", problem)}>
      <input type="hidden" name="stage" value={stage.stage} />
      <div class="stack tight">
        <label for={`${id}-use`}>If this provider fails, use</label>
        <select id={`${id}-use`} name="use">
          <option value="none">nothing else</option>
          {hasOpenAiKey ? (
            <option value="openai" selected={second?.use === "openai"}>
              OpenAI
            </option>
          ) : null}
          {downloaded.map(({ model }) => (
            <option value={`local:${model.id}`} selected={model.id === local}>
              This machine: {model.name} ({formatBytes(bytesOf(model))})
            </option>
          ))}
          <option value="endpoint" selected={endpoint !== undefined}>
            another server
          </option>
        </select>
      </div>
      <div class="second-server stack">
        <Field
          id={`${id}-url`}
          name="base_url"
          label="Its address"
          value={endpoint?.baseURL}
          hint="http://127.0.0.1:11434/v1"
        />
        <Field
          id={`${id}-key`}
          name="api_key"
          label="API key (optional)"
          type="password"
          hint="Leave empty to use the saved one, if any"
        />
        <Field id={`${id}-model`} name="model" label="Model" value={endpoint?.model} />
        {stage.stage === "tts" ? (
          <Field id={`${id}-voice`} name="voice" label="Voice" value={endpoint?.voice} />
        ) : null}
      </div>
      <p class="small muted">
        It takes over in the turn in which the first provider fails. A local model is loaded when a
        conversation starts, and needs its memory from then on.
      </p>
      <p>
        <button class="button" type="submit">
          Save
        </button>
      </p>
      <ErrorSlot id={problem} />
    </form>
  );
}

function Field(props: {
  id: string;
  name: string;
  label: string;
  value?: string | undefined;
  type?: "text" | "password";
  hint?: string;
}) {
  const { id, name, label, value, type = "text", hint } = props;
  return (
    <div class="stack tight">
      <label for={id}>{label}</label>
      <input
        id={id}
        name={name}
        type={type}
        value={value}
        placeholder={hint}
        maxlength={2048}
        autocomplete="off"
        spellcheck={false}
      />
    </div>
  );
}
