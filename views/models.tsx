import { bytesOf, type ListedModel } from "../src/domain/catalog.ts";
import type { StageOverview } from "../src/domain/provider.ts";
import type { Stage } from "../src/domain/stage.ts";
import { formatBytes, STAGE_NAMES } from "../src/lib/words.ts";
import { CatalogList } from "./fragments/catalog.tsx";
import {
  EndpointForm,
  FindServers,
  type FormPlace,
  OpenAiForm,
  sent,
} from "./fragments/provider-forms.tsx";
import { Layout, type Shell } from "./layout.tsx";

interface ModelsPageProps {
  shell: Shell;
  overview: readonly StageOverview[];
  hasOpenAiKey: boolean;
  /** The catalogue, or why it cannot be read. */
  models: readonly ListedModel[] | string;
  /** Where the models are on the disk. */
  folder: string;
}

/** Who serves each stage, and the models that run on this machine. */
export function ModelsPage({ shell, overview, hasOpenAiKey, models, folder }: ModelsPageProps) {
  return (
    <Layout shell={shell} title="Models" current="models">
      <main id="main" class="page">
        <div class="page-head">
          <h1>Models</h1>
        </div>
        <section class="card stages" aria-labelledby="stages-title">
          <h2 id="stages-title">Who does what</h2>
          <p class="quiet">A change counts from the next conversation on.</p>
          <ul>
            {overview.map((stage) => (
              <StageRow
                stage={stage}
                hasOpenAiKey={hasOpenAiKey}
                present={typeof models === "string" ? [] : presentFor(stage.stage, models)}
              />
            ))}
          </ul>
          <StoredKeys hasOpenAiKey={hasOpenAiKey} overview={overview} />
        </section>
        <h2 class="page-part">On this machine</h2>
        <p class="quiet wrap page-part-note">
          Models run without any account, and nothing that is said leaves this machine. They are
          kept in {folder}.
        </p>
        <div id="models-problem"></div>
        {typeof models === "string" ? (
          <p class="notice notice-error wrap">{models}</p>
        ) : (
          <div
            id="catalog"
            class="catalog"
            hx-sse:connect="/models/events"
            hx-target="#catalog"
            hx-swap="innerMorph"
          >
            <CatalogList models={models} overview={overview} />
          </div>
        )}
      </main>
    </Layout>
  );
}

function presentFor(stage: Stage, models: readonly ListedModel[]): ListedModel[] {
  return models.filter(({ model, state }) => model.stage === stage && state.state === "present");
}

interface StageRowProps {
  stage: StageOverview;
  hasOpenAiKey: boolean;
  present: readonly ListedModel[];
}

function StageRow({ stage, hasOpenAiKey, present }: StageRowProps) {
  const place: FormPlace = { next: "/models", id: stage.stage };
  return (
    <li class="stage-row" data-stage={stage.stage} data-use={stage.use}>
      <div class="stage-now">
        <h3>{STAGE_NAMES[stage.stage]}</h3>
        <p class="wrap">{nowServedBy(stage)}</p>
      </div>
      {stage.problem === undefined ? null : <p class="notice notice-error wrap">{stage.problem}</p>}
      {stage.fixedBy === undefined ? (
        <details class="settings">
          <summary>
            Change<span class="visually-hidden"> {STAGE_NAMES[stage.stage].toLowerCase()}</span>
          </summary>
          <div class="choices">
            <section aria-label="OpenAI">
              <h4>OpenAI</h4>
              <OpenAiForm
                place={{ ...place, id: `${place.id}-openai` }}
                stages={[stage.stage]}
                hasKey={hasOpenAiKey}
              />
            </section>
            <section aria-label="This machine">
              <h4>This machine</h4>
              <LocalForm
                place={{ ...place, id: `${place.id}-local` }}
                stage={stage}
                present={present}
              />
            </section>
            <section aria-label="Another server">
              <h4>Another server</h4>
              {stage.stage === "llm" ? <FindServers next="/models" /> : null}
              <EndpointForm
                place={{ ...place, id: `${place.id}-endpoint` }}
                stages={[stage.stage]}
              />
            </section>
          </div>
        </details>
      ) : (
        <p class="hint wrap">
          <code>{stage.fixedBy}</code> in the environment decides this, before anything that is
          chosen here.
        </p>
      )}
    </li>
  );
}

function nowServedBy({ use, baseURL, model, voice, hasKey }: StageOverview): string {
  const named = [model, voice === undefined ? undefined : `voice ${voice}`].filter(Boolean);
  const what = named.length === 0 ? "" : `: ${named.join(", ")}`;
  if (use === "local") return `This machine${what}`;
  if (use === "openai") return `OpenAI${what}`;
  return `${baseURL}${what}${hasKey ? ", with a key" : ""}`;
}

function LocalForm(props: {
  place: FormPlace;
  stage: StageOverview;
  present: readonly ListedModel[];
}) {
  const { place, stage, present } = props;
  if (present.length === 0) {
    return (
      <p class="hint">
        None is here yet: <a href={`#models-${stage.stage}`}>download one</a> below.
      </p>
    );
  }
  const id = `${place.id}-model`;
  return (
    <form class="provider-form" {...sent("/providers/local", place)}>
      <input type="hidden" name="stage" value={stage.stage} />
      <div class="field">
        <label for={id}>Model</label>
        <div class="field-row">
          <select id={id} name="model">
            {present.map(({ model }) => (
              <option value={model.id} selected={model.id === stage.model}>
                {model.name} ({formatBytes(bytesOf(model))})
              </option>
            ))}
          </select>
          <button class="button" type="submit">
            Use it
          </button>
        </div>
      </div>
      <div id={`${place.id}-problem`}></div>
    </form>
  );
}

function StoredKeys(props: { hasOpenAiKey: boolean; overview: readonly StageOverview[] }) {
  const stored = props.overview.some(
    ({ fixedBy, use }) => fixedBy === undefined && use !== "openai",
  );
  if (!props.hasOpenAiKey && !stored) return null;
  return (
    <form class="forget" method="post" action="/providers/forget">
      <p class="hint">
        {props.hasOpenAiKey ? "An OpenAI key is stored; it is never shown. " : ""}
        Forgetting removes all keys and choices that were made here.
      </p>
      <button class="button button-small" id="forget" type="submit">
        Forget keys and choices
      </button>
    </form>
  );
}
