/** @jsxImportSource hono/jsx */
import type { ListedModel } from "../src/domain/catalog.ts";
import type { SpeechToSpeechOverview, StageOverview } from "../src/domain/provider.ts";
import type { Speaker } from "../src/domain/speaker.ts";
import { STAGE_NAMES } from "../src/lib/words.ts";
import { CatalogList, LanguageFilter } from "./fragments/catalog.tsx";
import { ErrorNotice, ErrorSlot } from "./fragments/htmx.tsx";
import {
  EndpointForm,
  FindServers,
  type FormPlace,
  LocalForm,
  OpenAiForm,
} from "./fragments/provider-forms.tsx";
import { SecondProvider } from "./fragments/second-provider.tsx";
import { SpeechToSpeechSection } from "./fragments/speech-to-speech.tsx";
import { StageTestButton } from "./fragments/stage-test.tsx";
import { Layout, type Shell } from "./layout.tsx";

interface ModelsPageProps {
  shell: Shell;
  overview: readonly StageOverview[];
  speechToSpeech: SpeechToSpeechOverview;
  hasOpenAiKey: boolean;
  /** The catalogue, or why it cannot be read. */
  models: readonly ListedModel[] | string;
  /** The speakers of the downloaded voice that is chosen, or of the first. */
  speakers: readonly Speaker[];
  /** The language that the listed local models know; undefined: all are listed. */
  language: string | undefined;
  /** That this machine is too small for a conversation with local models, and what to do. */
  warning: string | undefined;
  /** The folder of the model files. */
  folder: string;
  /** What language models compute on; undefined if no GPU is wished. */
  gpu?: string | undefined;
}

/** The provider of each stage, and the local models. */
export function ModelsPage(props: ModelsPageProps) {
  const { shell, overview, speechToSpeech, hasOpenAiKey, models } = props;
  const listed = typeof models === "string" ? [] : models;
  return (
    <Layout shell={shell} title="Models" current="models" script="/build/models.js">
      <main id="main" class="page">
        <h1>Models</h1>
        <section class="card" aria-labelledby="providers-title">
          <h2 id="providers-title">Providers</h2>
          <p class="small muted">Changes apply to the next conversation.</p>
          <ul class="rows">
            {overview.map((stage) => (
              <StageRow
                stage={stage}
                hasOpenAiKey={hasOpenAiKey}
                downloaded={listed.filter(
                  ({ model, state }) => model.stage === stage.stage && state.state === "present",
                )}
                speakers={stage.stage === "tts" ? props.speakers : []}
              />
            ))}
          </ul>
          <SavedKeys {...{ hasOpenAiKey, overview, speechToSpeech }} />
        </section>
        <SpeechToSpeechSection overview={speechToSpeech} />
        <LocalModels {...props} />
      </main>
    </Layout>
  );
}

/** The catalogue, which the event stream keeps up to date. */
function LocalModels({ models, overview, language, warning, folder, gpu }: ModelsPageProps) {
  const events = language === undefined ? "/models/events" : `/models/events?language=${language}`;
  return (
    <section id="local-models" class="stack loose" aria-labelledby="local-models-title">
      <div>
        <h2 class="section-title" id="local-models-title">
          Local models
        </h2>
        <p class="small muted wrap">
          They need no account, and nothing you say leaves the machine that runs Parley. Their files
          are stored in {folder}.
        </p>
        {gpu === undefined ? null : <p class="small muted wrap">{gpu}</p>}
      </div>
      <ErrorSlot id="models-problem" />
      {typeof models === "string" ? (
        <ErrorNotice>{models}</ErrorNotice>
      ) : (
        <>
          <LanguageFilter models={models} language={language} />
          <div
            id="catalog"
            class="stack loose"
            hx-sse:connect={events}
            hx-target="#catalog"
            hx-swap="innerMorph"
          >
            <CatalogList {...{ models, overview, language, warning }} />
          </div>
        </>
      )}
    </section>
  );
}

interface StageRowProps {
  stage: StageOverview;
  hasOpenAiKey: boolean;
  downloaded: readonly ListedModel[];
  speakers: readonly Speaker[];
}

function StageRow(props: StageRowProps) {
  const { stage, hasOpenAiKey, downloaded } = props;
  return (
    <li class="provider stack tight" data-stage={stage.stage} data-use={stage.use}>
      <div class="row">
        <h3>{STAGE_NAMES[stage.stage]}</h3>
        <p class="wrap">{currentProvider(stage)}</p>
      </div>
      <StageProblem stage={stage} />
      {stage.problem === undefined ? <StageTestButton stage={stage.stage} /> : null}
      {stage.fixedBy === undefined ? (
        <details>
          <summary>
            Change<span class="visually-hidden"> {STAGE_NAMES[stage.stage].toLowerCase()}</span>
          </summary>
          <ProviderForms {...props} />
        </details>
      ) : (
        <p class="small muted wrap">
          Set by the environment variable <code>{stage.fixedBy}</code>, which overrides this page.
        </p>
      )}
      <SecondProvider stage={stage} hasOpenAiKey={hasOpenAiKey} downloaded={downloaded} />
    </li>
  );
}

/** A missing key on a fresh installation is a task, not an error. */
function StageProblem({ stage: { problem, use, hasKey } }: { stage: StageOverview }) {
  if (problem === undefined) return null;
  if (use === "openai" && !hasKey) return <p class="small muted">{problem}</p>;
  return <ErrorNotice>{problem}</ErrorNotice>;
}

function ProviderForms({ stage, hasOpenAiKey, downloaded, speakers }: StageRowProps) {
  const place = (kind: string): FormPlace => ({ next: "/models", id: `${stage.stage}-${kind}` });
  const stages = [stage.stage];
  return (
    <div class="columns">
      <section class="stack" aria-label="OpenAI">
        <h4 class="small muted">OpenAI</h4>
        <OpenAiForm place={place("openai")} stages={stages} hasKey={hasOpenAiKey} />
      </section>
      <section class="stack" aria-label="This machine">
        <h4 class="small muted">This machine</h4>
        <LocalForm
          place={place("local")}
          stage={stage}
          downloaded={downloaded}
          speakers={speakers}
        />
      </section>
      <section class="stack" aria-label="Another server">
        <h4 class="small muted">Another server</h4>
        {stage.stage === "llm" ? <FindServers next="/models" /> : null}
        <EndpointForm
          place={place("endpoint")}
          stages={stages}
          current={stage.use === "endpoint" ? stage : undefined}
        />
      </section>
    </div>
  );
}

function currentProvider({ use, baseURL, model, voice, hasKey }: StageOverview): string {
  const named = [model, voice === undefined ? undefined : `voice ${voice}`].filter(Boolean);
  const what = named.length === 0 ? "" : `: ${named.join(", ")}`;
  if (use === "local") return `This machine${what}`;
  if (use === "openai") return `OpenAI${what}`;
  return `${baseURL}${what}${hasKey ? ", with a key" : ""}`;
}

function SavedKeys(props: Pick<ModelsPageProps, "hasOpenAiKey" | "overview" | "speechToSpeech">) {
  const { chosen, fixedBy: variable } = props.speechToSpeech;
  const isStageSaved = props.overview.some(
    ({ fixedBy, use, second }) =>
      (fixedBy === undefined && use !== "openai") || (second && second.fixedBy === undefined),
  );
  const isSaved = isStageSaved || (chosen && variable === undefined);
  if (!props.hasOpenAiKey && !isSaved) return null;
  return (
    <form class="saved-keys row between" method="post" action="/providers/forget">
      <p class="small muted">
        {props.hasOpenAiKey ? "An OpenAI key is saved (never displayed). " : ""}
        This deletes all saved keys and choices.
      </p>
      <button class="button button-small" id="forget" type="submit">
        Delete saved keys and choices
      </button>
    </form>
  );
}
