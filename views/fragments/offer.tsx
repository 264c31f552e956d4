/** @jsxImportSource hono/jsx */
import { bytesOf, type ListedModel } from "../../src/domain/catalog.ts";
import type { StageOverview } from "../../src/domain/provider.ts";
import { formatBytes, STAGE_NAMES } from "../../src/lib/words.ts";
import { Licence, Progress } from "./catalog.tsx";
import { ErrorNotice, ErrorSlot, formAttributes } from "./htmx.tsx";
import { EndpointForm, FindServers, OpenAiForm } from "./provider-forms.tsx";

export interface OfferProps {
  overview: readonly StageOverview[];
  hasOpenAiKey: boolean;
  /** The models to download, or why they cannot be listed. */
  plan: readonly ListedModel[] | string;
  /** That this machine is too small for a conversation, and what to do. */
  warning?: string | undefined;
  underWay: boolean;
}

/** Whether a provider has to be chosen before a conversation can start. */
export function needsSetup(overview: readonly StageOverview[]): boolean {
  return overview.some(({ problem }) => problem !== undefined);
}

/** What stands in place of the transcript before a conversation. */
export function Welcome() {
  return (
    <div class="welcome stack tight centred">
      <Bars large />
      <p class="title">Say hello</p>
      <p class="muted">
        Press Start and speak. Your words and the agent’s appear here as they are spoken.
      </p>
    </div>
  );
}

/** Parley's sign for a voice: five bars that the stylesheet moves. */
export function Bars({ large = false }: { large?: boolean }) {
  return (
    <span class={large ? "bars bars-large" : "bars"} aria-hidden="true">
      <i></i>
      <i></i>
      <i></i>
      <i></i>
      <i></i>
    </span>
  );
}

/** The first visit: three ways to get a provider. Events keep it up to date during a download. */
export function Offer(props: OfferProps) {
  return (
    <div
      id="offer"
      class="offer stack loose"
      hx-sse:connect="/offer/events"
      hx-target="#offer"
      hx-swap="innerMorph"
    >
      <OfferContent {...props} />
    </div>
  );
}

/** The content of the offer, as each event sends it; the welcome once every stage is set up. */
export function OfferContent(props: OfferProps) {
  const { overview, plan, underWay } = props;
  if (!needsSetup(overview)) {
    return (
      <div role="status">
        <Welcome />
      </div>
    );
  }
  if (underWay && typeof plan !== "string") return <Downloads models={plan} />;
  return <ProviderChoice {...props} />;
}

function ProviderChoice({ overview, hasOpenAiKey, plan, warning }: OfferProps) {
  const free = overview.filter(({ fixedBy }) => fixedBy === undefined).map(({ stage }) => stage);
  return (
    <>
      <p class="title centred">Choose your AI provider</p>
      <Problems overview={overview} />
      <ul class="columns">
        <li class="card stack">
          <h2>OpenAI</h2>
          <p class="small muted">
            Fast, high quality. Audio and text go to OpenAI, which bills your account. Your key is
            stored only on the machine that runs Parley.
          </p>
          <OpenAiForm place={{ next: "/", id: "offer" }} stages={free} hasKey={hasOpenAiKey} />
        </li>
        <li class="card stack">
          <h2>This machine</h2>
          <LocalModels plan={plan} warning={warning} />
        </li>
        <li class="card stack whole-row">
          <h2>Another server</h2>
          <p class="small muted">
            Any OpenAI-compatible server, e.g. Ollama, vLLM, Speaches, Groq.
          </p>
          <FindServers next="/" />
          <details>
            <summary>Enter an address</summary>
            <EndpointForm place={{ next: "/", id: "endpoint" }} stages={free} />
          </details>
        </li>
      </ul>
      <p class="small muted centred">
        You can change each of these later under <a href="/models">Models</a>.
      </p>
    </>
  );
}

/** Problems of stages that were set up once. That OpenAI has no key yet is obvious here. */
function Problems({ overview }: { overview: readonly StageOverview[] }) {
  const broken = overview.filter(({ problem, use }) => problem !== undefined && use !== "openai");
  if (broken.length === 0) return null;
  return (
    <ul class="notice row small" data-tone="error">
      {broken.map(({ stage, problem }) => (
        <li class="wrap">
          {STAGE_NAMES[stage]}: {problem}
        </li>
      ))}
    </ul>
  );
}

function LocalModels({ plan, warning }: Pick<OfferProps, "plan" | "warning">) {
  if (typeof plan === "string") return <ErrorNotice>{plan}</ErrorNotice>;
  const missing = plan.filter(({ state }) => state.state !== "present");
  const bytes = missing.reduce((sum, { model }) => sum + bytesOf(model), 0);
  return (
    <>
      <p class="small muted">
        No account needed. Speech is processed on the machine that runs Parley, with these models:
      </p>
      <ul id="offer-plan" class="stack small wrap">
        {plan.map(({ model, state }) => (
          <li>
            {STAGE_NAMES[model.stage]}: {model.name}
            <p class="dotted">
              <span>
                {state.state === "present" ? "already downloaded" : formatBytes(bytesOf(model))}
              </span>
              <Licence model={model} />
            </p>
            {model.attribution === undefined ? null : <p class="muted">{model.attribution}</p>}
          </li>
        ))}
      </ul>
      {warning === undefined ? null : (
        <p class="notice small wrap" data-tone="warning" id="offer-warning">
          {warning}
        </p>
      )}
      <form id="form-offer-begin" {...formAttributes("/offer/download", "offer-problem")}>
        <button class="button button-primary" id="offer-download" type="submit">
          {bytes === 0
            ? "Use these models"
            : `Accept licences and download (${formatBytes(bytes).replace(" ", "\u00a0")})`}
        </button>
      </form>
      <ErrorSlot id="offer-problem" />
    </>
  );
}

function Downloads({ models }: { models: readonly ListedModel[] }) {
  const failed = models.some(({ state }) => state.state === "failed" || state.state === "absent");
  return (
    <>
      <p class="title centred" role="status">
        {failed ? "A download failed" : "Downloading models"}
      </p>
      <p class="muted centred">
        {failed
          ? "What was downloaded so far is kept."
          : "You can start as soon as this finishes. You may close this page."}
      </p>
      <ul class="stack loose">
        {models.map(({ model, state }) => (
          <li class="stack tight" data-model={model.id} data-state={state.state}>
            <p class="row strong">
              <span class="wrap">{model.name}</span>
              {state.state === "present" ? <span class="chip">Downloaded</span> : null}
            </p>
            <Progress id={model.id} name={model.name} state={state} />
          </li>
        ))}
      </ul>
      <div class="row">
        {failed ? <OfferAction verb="download" label="Try again" /> : null}
        <OfferAction verb="cancel" label="Cancel" />
      </div>
      <ErrorSlot id="offer-problem" />
    </>
  );
}

function OfferAction({ verb, label }: { verb: "download" | "cancel"; label: string }) {
  return (
    <form {...formAttributes(`/offer/${verb}`, "offer-problem")}>
      <button class="button" id={`offer-${verb}`} type="submit">
        {label}
      </button>
    </form>
  );
}
