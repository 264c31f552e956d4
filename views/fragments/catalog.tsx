/** @jsxImportSource hono/jsx */
import {
  bytesOf,
  type CatalogModel,
  type ListedModel,
  type ModelState,
} from "../../src/domain/catalog.ts";
import { languageName, sameLanguage } from "../../src/domain/language.ts";
import type { StageOverview } from "../../src/domain/provider.ts";
import { STAGES, type Stage } from "../../src/domain/stage.ts";
import { formatBytes, STAGE_NAMES } from "../../src/lib/words.ts";
import { ErrorNotice, formAttributes } from "./htmx.tsx";

interface CatalogProps {
  models: readonly ListedModel[];
  overview: readonly StageOverview[];
  /** Only models that know this language are shown; undefined: all. */
  language?: string | undefined;
  /** That this machine is too small for a conversation, and what to do. */
  warning?: string | undefined;
}

/** The local models by stage. The page's event stream sends it again whenever something changes. */
export function CatalogList({ models, overview, language, warning }: CatalogProps) {
  const shown = models.filter(
    ({ model }) =>
      language === undefined || model.languages.some((one) => sameLanguage(one, language)),
  );
  return (
    <>
      <p class="visually-hidden" role="status" id="models-news">
        {downloadNews(models)}
      </p>
      {warning === undefined ? null : (
        <p class="notice small wrap" data-tone="warning">
          {warning}
        </p>
      )}
      {STAGES.map((stage) => (
        <StageModels
          stage={stage}
          models={shown.filter(({ model }) => model.stage === stage)}
          used={overview.find((one) => one.stage === stage)}
        />
      ))}
    </>
  );
}

/** For screen readers, which should announce changes but not every percent. */
function downloadNews(models: readonly ListedModel[]): string {
  const news = models.flatMap(({ model, state }) => {
    if (state.state === "downloading") return [`${model.name} is being downloaded.`];
    if (state.state === "failed") return [`${model.name} could not be downloaded.`];
    return [];
  });
  return news.join(" ") || "No download is running.";
}

function StageModels(props: {
  stage: Stage;
  models: readonly ListedModel[];
  used: StageOverview | undefined;
}) {
  const { stage, models, used } = props;
  return (
    <section class="card flush" aria-labelledby={`models-${stage}`}>
      <h3 id={`models-${stage}`} class="card-title">
        {STAGE_NAMES[stage]}
      </h3>
      {models.length === 0 ? (
        <p class="card-title small muted">No model in the catalogue knows this language.</p>
      ) : null}
      <ul class="rows">
        {models.map((listed) => (
          <ModelRow
            listed={listed}
            used={used?.use === "local" && used.model === listed.model.id}
            fixedBy={used?.fixedBy}
          />
        ))}
      </ul>
    </section>
  );
}

function ModelRow(props: { listed: ListedModel; used: boolean; fixedBy: string | undefined }) {
  const { listed, used, fixedBy } = props;
  const { model, state, recommended } = listed;
  return (
    <li class="row between" id={`model-${model.id}`} data-model={model.id} data-state={state.state}>
      <div class="model-text stack tight">
        <p class="row strong">
          <span class="wrap">{model.name}</span>
          {recommended ? <span class="chip">Recommended</span> : null}
          {used ? <span class="chip chip-strong">In use</span> : null}
          {state.state === "present" && !used ? (
            <span class="chip chip-plain">Downloaded</span>
          ) : null}
        </p>
        <p class="small muted wrap">{model.about}</p>
        {listed.reason === undefined ? null : <p class="small wrap">{listed.reason}</p>}
        <p class="dotted wrap">
          <span>{formatBytes(bytesOf(model))}</span>
          <span>{formatBytes(model.memory)} of memory</span>
          {model.languages.length > FEW ? null : <span>{namesOf(model.languages)}</span>}
          <Licence model={model} />
        </p>
        {model.attribution === undefined ? null : (
          <p class="small muted wrap">{model.attribution}</p>
        )}
        <Languages model={model} />
        <Voices model={model} />
        <Progress id={model.id} name={model.name} state={state} />
      </div>
      <ModelActions listed={listed} used={used} fixedBy={fixedBy} />
    </li>
  );
}

/** More languages than these are listed only on demand. */
const FEW = 3;

function namesOf(tags: readonly string[]): string {
  return tags.map(languageName).join(", ");
}

/** A licence's name, and its text where the catalogue says where that is. */
export function Licence({ model: { name, licence, licenceUrl } }: { model: CatalogModel }) {
  if (licenceUrl === undefined) return <span>{licence}</span>;
  return (
    <a href={licenceUrl} target="_blank" rel="noopener noreferrer">
      {licence}
      <span class="visually-hidden">, licence of {name}</span>
    </a>
  );
}

function Languages({ model: { name, languages } }: { model: CatalogModel }) {
  if (languages.length <= FEW) return null;
  return (
    <details>
      <summary>
        {languages.length} languages<span class="visually-hidden"> of {name}</span>
      </summary>
      <p class="small muted wrap">{namesOf(languages)}</p>
    </details>
  );
}

/** The speakers of a voice, with a recording of those that have one. */
function Voices({ model: { name, languages, voices = [] } }: { model: CatalogModel }) {
  if (voices.length === 0) return null;
  const speaksSeveral = languages.length > 1;
  return (
    <details>
      <summary>
        {voices.length === 1 ? "1 voice" : `${voices.length} voices`}
        <span class="visually-hidden"> of {name}</span>
      </summary>
      <ul class="dotted wrap">
        {voices.map((voice) => (
          <li>
            {voice.name}
            {speaksSeveral ? `, ${languageName(voice.language)}` : ""}
            {voice.sample === undefined ? null : (
              <>
                {" "}
                <a href={voice.sample} target="_blank" rel="noopener noreferrer">
                  Listen<span class="visually-hidden"> to {voice.name}</span>
                </a>
              </>
            )}
          </li>
        ))}
      </ul>
    </details>
  );
}

/** Chooses the language that the listed models know. The address keeps the choice. */
export function LanguageFilter(props: {
  models: readonly ListedModel[];
  language: string | undefined;
}) {
  const codes = new Set(
    props.models.flatMap(({ model }) => model.languages.map((tag) => tag.split("-", 1)[0] ?? tag)),
  );
  const options = [...codes].map((code) => ({ code, name: languageName(code) }));
  return (
    <form
      class="stack tight"
      method="get"
      action="/models"
      hx-get="/models"
      hx-trigger="change"
      hx-target="#local-models"
      hx-select="#local-models"
      hx-swap="outerHTML"
      hx-push-url="true"
    >
      <label for="models-language">Language</label>
      <div class="field-row">
        <select id="models-language" name="language">
          <option value="">All languages</option>
          {options
            .toSorted((a, b) => a.name.localeCompare(b.name, "en"))
            .map(({ code, name }) => (
              <option value={code} selected={code === props.language}>
                {name}
              </option>
            ))}
        </select>
        <noscript>
          <button class="button" type="submit">
            Show
          </button>
        </noscript>
      </div>
    </form>
  );
}

/** How far a download is and how fast, or why it failed. */
export function Progress({ id, name, state }: { id: string; name: string; state: ModelState }) {
  if (state.state === "waiting") return <p class="small muted">Queued</p>;
  if (state.state === "failed") return <ErrorNotice>{state.message}</ErrorNotice>;
  if (state.state === "absent" && state.kept > 0) {
    return <p class="small muted">{formatBytes(state.kept)} already downloaded</p>;
  }
  if (state.state !== "downloading") return null;
  const { received, total, bytesPerSecond } = state;
  return (
    <div class="stack tight">
      <progress
        id={`progress-${id}`}
        value={received}
        max={total}
        aria-label={`Download of ${name}`}
      ></progress>
      <p class="small muted">
        {Math.floor((100 * received) / total)}%, {formatBytes(received)} of {formatBytes(total)}
        {bytesPerSecond > 0 ? `, ${formatBytes(bytesPerSecond)}/s, ${timeLeft(state)}` : ""}
      </p>
    </div>
  );
}

function timeLeft(state: Extract<ModelState, { state: "downloading" }>): string {
  const seconds = Math.round((state.total - state.received) / state.bytesPerSecond);
  if (seconds < 60) return `${seconds} s left`;
  return `${Math.ceil(seconds / 60)} min left`;
}

function ModelActions(props: { listed: ListedModel; used: boolean; fixedBy: string | undefined }) {
  const { model, state } = props.listed;
  const { id, name } = model;
  if (state.state === "waiting" || state.state === "downloading") {
    return <ModelAction id={id} verb="cancel" label="Cancel" of={name} />;
  }
  if (state.state !== "present") {
    const label = state.state === "failed" ? "Try again" : "Download";
    return (
      <div class="row">
        <ModelAction id={id} verb="download" label={label} of={name} />
        {state.state === "absent" && state.kept > 0 ? (
          <ModelAction id={id} verb="remove" label="Remove" of={name} />
        ) : null}
      </div>
    );
  }
  if (props.used) return null;
  return (
    <div class="row">
      {props.fixedBy === undefined ? <UseModel id={id} stage={model.stage} name={name} /> : null}
      <ModelAction id={id} verb="remove" label="Remove" of={name} />
    </div>
  );
}

/** A button that changes a model's files; the event stream shows the result. */
function ModelAction(props: { id: string; verb: string; label: string; of: string }) {
  return (
    <form
      // The id tells forms of different verbs apart when one takes the other's place.
      id={`form-${props.verb}-${props.id}`}
      {...formAttributes(`/models/${props.id}/${props.verb}`, "models-problem")}
    >
      <button class="button button-small" id={`${props.verb}-${props.id}`} type="submit">
        {props.label}
        <span class="visually-hidden"> {props.of}</span>
      </button>
    </form>
  );
}

/** Without HTMX, because the result shows in several places of the page. */
function UseModel({ id, stage, name }: { id: string; stage: Stage; name: string }) {
  return (
    <form method="post" action="/providers/local">
      <input type="hidden" name="stage" value={stage} />
      <input type="hidden" name="model" value={id} />
      <button class="button button-small" id={`use-${id}`} type="submit">
        Use<span class="visually-hidden"> {name}</span>
      </button>
    </form>
  );
}
