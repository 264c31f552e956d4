import { bytesOf, type ListedModel, type ModelState } from "../../src/domain/catalog.ts";
import type { StageOverview } from "../../src/domain/provider.ts";
import { STAGES, type Stage } from "../../src/domain/stage.ts";
import { formatBytes, STAGE_NAMES } from "../../src/lib/words.ts";
import { madeOnce } from "./made-once.ts";

/** What a button changes comes by the page's events; a refusal is told above the catalogue. */
const BY_EVENTS = {
  "hx-swap": "none",
  "hx-status:4xx": "target:#models-problem swap:innerHTML",
  "hx-status:5xx": "target:#models-problem swap:innerHTML",
};

interface CatalogProps {
  models: readonly ListedModel[];
  overview: readonly StageOverview[];
}

/** All models by stage; sent anew over the page's event stream whenever something changes. */
export function CatalogList({ models, overview }: CatalogProps) {
  return (
    <>
      <p class="visually-hidden" role="status" id="models-news">
        {newsOf(models)}
      </p>
      {STAGES.map((stage) => (
        <StageModels
          stage={stage}
          models={models.filter(({ model }) => model.stage === stage)}
          used={overview.find((one) => one.stage === stage)}
        />
      ))}
    </>
  );
}

/** For screen readers: changes, not every percent. */
function newsOf(models: readonly ListedModel[]): string {
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
    <section class="card models" aria-labelledby={`models-${stage}`}>
      <h3 id={`models-${stage}`}>{STAGE_NAMES[stage]}</h3>
      {models.length === 0 ? <p class="quiet models-none">The catalogue has none.</p> : null}
      <ul>
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
    <li class="model" id={`model-${model.id}`} data-model={model.id} data-state={state.state}>
      <div class="model-text">
        <p class="model-name">
          <span class="wrap">{model.name}</span>
          {recommended ? <span class="tag tag-accent">Recommended</span> : null}
          {used ? <span class="tag tag-strong">In use</span> : null}
          {state.state === "present" && !used ? <span class="tag">On this machine</span> : null}
        </p>
        <p class="quiet wrap">{model.about}</p>
        <p class="model-facts">
          <span>{formatBytes(bytesOf(model))}</span>
          <span>{formatBytes(model.memory)} of memory</span>
          <span class="wrap">{languagesOf(model.languages)}</span>
          <span class="wrap">{model.licence}</span>
        </p>
        <Progress id={model.id} name={model.name} state={state} />
      </div>
      <ModelActions listed={listed} used={used} fixedBy={fixedBy} />
    </li>
  );
}

const languageNames = madeOnce(
  () => new Intl.DisplayNames(["en"], { type: "language", languageDisplay: "standard" }),
);

/** `English`, `American and British English` stay short; a long list is counted. */
function languagesOf(tags: readonly string[]): string {
  if (tags.length > 3) return `${tags.length} languages`;
  return tags.map((tag) => languageNames().of(tag) ?? tag).join(", ");
}

/** How far a download is, how fast, or why it stopped. */
export function Progress({ id, name, state }: { id: string; name: string; state: ModelState }) {
  if (state.state === "waiting") return <p class="progress-text">Waits for the one before it.</p>;
  if (state.state === "failed") {
    return <p class="notice notice-error model-failure">{state.message}</p>;
  }
  if (state.state === "absent" && state.kept > 0) {
    return <p class="progress-text">{formatBytes(state.kept)} of it are here already.</p>;
  }
  if (state.state !== "downloading") return null;
  const { received, total, bytesPerSecond } = state;
  return (
    <div class="progress">
      <progress
        id={`progress-${id}`}
        value={received}
        max={total}
        aria-label={`Download of ${name}`}
      ></progress>
      <p class="progress-text">
        {Math.floor((100 * received) / total)} %, {formatBytes(received)} of {formatBytes(total)}
        {bytesPerSecond > 0 ? `, ${formatBytes(bytesPerSecond)}/s, ${left(state)}` : ""}
      </p>
    </div>
  );
}

function left(state: Extract<ModelState, { state: "downloading" }>): string {
  const seconds = Math.round((state.total - state.received) / state.bytesPerSecond);
  if (seconds < 60) return `${seconds} s left`;
  return `${Math.ceil(seconds / 60)} min left`;
}

function ModelActions(props: { listed: ListedModel; used: boolean; fixedBy: string | undefined }) {
  const { model, state } = props.listed;
  const { id, name } = model;
  if (state.state === "waiting" || state.state === "downloading") {
    return (
      <div class="model-actions">
        <ModelAction id={id} verb="cancel" label="Cancel" of={name} />
      </div>
    );
  }
  if (state.state !== "present") {
    const label = state.state === "failed" ? "Try again" : "Download";
    return (
      <div class="model-actions">
        <ModelAction id={id} verb="download" label={label} of={name} />
        {state.state === "absent" && state.kept > 0 ? (
          <ModelAction id={id} verb="remove" label="Remove" of={name} />
        ) : null}
      </div>
    );
  }
  if (props.used) return null;
  return (
    <div class="model-actions">
      {props.fixedBy === undefined ? <UseModel id={id} stage={model.stage} name={name} /> : null}
      <ModelAction id={id} verb="remove" label="Remove" of={name} />
    </div>
  );
}

/** One button that changes what is here; without HTMX the page is shown anew. */
function ModelAction(props: { id: string; verb: string; label: string; of: string }) {
  const action = `/models/${props.id}/${props.verb}`;
  return (
    <form
      // Forms of different verbs are different forms, also where one takes the other's place.
      id={`form-${props.verb}-${props.id}`}
      method="post"
      action={action}
      hx-post={action}
      {...BY_EVENTS}
    >
      <button class="button button-small" id={`${props.verb}-${props.id}`} type="submit">
        {props.label}
        <span class="visually-hidden"> {props.of}</span>
      </button>
    </form>
  );
}

/** Not by HTMX: what it changes is shown in several places of the page. */
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
