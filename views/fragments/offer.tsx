import { bytesOf, type ListedModel } from "../../src/domain/catalog.ts";
import type { StageOverview } from "../../src/domain/provider.ts";
import { formatBytes, STAGE_NAMES } from "../../src/lib/words.ts";
import { Progress } from "./catalog.tsx";
import { EndpointForm, FindServers, OpenAiForm } from "./provider-forms.tsx";

export interface OfferProps {
  overview: readonly StageOverview[];
  hasOpenAiKey: boolean;
  /** What would be downloaded, or why that cannot be told. */
  plan: readonly ListedModel[] | string;
  underWay: boolean;
}

/** Whether a conversation cannot be had before somebody chooses who serves it. */
export function needsSetup(overview: readonly StageOverview[]): boolean {
  return overview.some(({ problem }) => problem !== undefined);
}

/** What the page says where the conversation will be. */
export function Hello() {
  return (
    <>
      <span class="empty-figure" aria-hidden="true">
        <i></i>
        <i></i>
        <i></i>
        <i></i>
        <i></i>
      </span>
      <p class="empty-title">Say hello</p>
      <p class="soft">
        Press Start and speak. Your words and the agent’s appear here while they are spoken.
      </p>
    </>
  );
}

/** Three ways to a first conversation; follows a download until it can begin. */
export function Offer(props: OfferProps) {
  return (
    <div
      id="offer"
      class="offer"
      hx-sse:connect="/offer/events"
      hx-target="#offer"
      hx-swap="innerMorph"
    >
      <OfferContent {...props} />
    </div>
  );
}

/** The inside of the offer, as it is sent anew; the ordinary greeting once all is set up. */
export function OfferContent(props: OfferProps) {
  const { overview, underWay } = props;
  if (!needsSetup(overview)) {
    return (
      <div class="offer-done" role="status">
        <Hello />
      </div>
    );
  }
  if (underWay && typeof props.plan !== "string") return <Downloads models={props.plan} />;
  return <Ways {...props} />;
}

function Ways({ overview, hasOpenAiKey, plan }: OfferProps) {
  const free = overview.filter(({ fixedBy }) => fixedBy === undefined).map(({ stage }) => stage);
  const place = { next: "/", id: "offer" } as const;
  return (
    <>
      <p class="empty-title">Who shall listen, think and speak?</p>
      <Problems overview={overview} />
      <ul class="ways">
        <li class="way">
          <h2>OpenAI</h2>
          <p class="quiet">
            Quick and good. OpenAI hears what is said, and charges for it. The key stays on the
            machine that runs Parley.
          </p>
          <OpenAiForm place={place} stages={free} hasKey={hasOpenAiKey} />
        </li>
        <li class="way">
          <h2>This machine</h2>
          <LocalWay plan={plan} />
        </li>
        <li class="way">
          <h2>Another server</h2>
          <p class="quiet">Anything with OpenAI’s API: Ollama, vLLM, Speaches, Groq …</p>
          <FindServers next="/" />
          <details class="settings">
            <summary>Enter its address</summary>
            <EndpointForm place={{ next: "/", id: "endpoint" }} stages={free} />
          </details>
        </li>
      </ul>
      <p class="hint offer-line">
        All of it can be changed later, for each part by itself, under <a href="/models">Models</a>.
      </p>
    </>
  );
}

/** Of stages that had been set up and cannot be used any more; that a key is missing is plain. */
function Problems({ overview }: { overview: readonly StageOverview[] }) {
  const told = overview.filter(({ problem, use }) => problem !== undefined && use !== "openai");
  if (told.length === 0) return null;
  return (
    <ul class="notice notice-error">
      {told.map(({ stage, problem }) => (
        <li class="wrap">
          {STAGE_NAMES[stage]}: {problem}
        </li>
      ))}
    </ul>
  );
}

const SAY_REFUSAL = {
  "hx-status:4xx": "target:#local-problem swap:innerHTML",
  "hx-status:5xx": "target:#local-problem swap:innerHTML",
};

function LocalWay({ plan }: { plan: OfferProps["plan"] }) {
  if (typeof plan === "string") return <p class="notice notice-error wrap">{plan}</p>;
  const missing = plan.filter(({ state }) => state.state !== "present");
  const bytes = missing.reduce((sum, { model }) => sum + bytesOf(model), 0);
  return (
    <>
      <p class="quiet">No account, and nothing that is said leaves it. It takes these models:</p>
      <ul class="plan">
        {plan.map(({ model, state }) => (
          <li>
            <span class="wrap">
              {STAGE_NAMES[model.stage]}: {model.name}
            </span>
            <span class="quiet wrap">
              {state.state === "present" ? "here" : formatBytes(bytesOf(model))}, {model.licence}
            </span>
          </li>
        ))}
      </ul>
      <form
        id="form-offer-begin"
        method="post"
        action="/offer/download"
        hx-post="/offer/download"
        hx-swap="none"
        {...SAY_REFUSAL}
      >
        <button class="button button-primary" id="offer-download" type="submit">
          {bytes === 0
            ? "Use these models"
            : `Accept and download ${formatBytes(bytes).replace(" ", "\u00a0")}`}
        </button>
      </form>
      <div id="local-problem"></div>
    </>
  );
}

function Downloads({ models }: { models: readonly ListedModel[] }) {
  const failed = models.some(({ state }) => state.state === "failed" || state.state === "absent");
  return (
    <>
      <p class="empty-title" role="status">
        {failed ? "A download stopped" : "Getting the models"}
      </p>
      <p class="soft offer-line">
        {failed
          ? "What has come is kept."
          : "You can start to talk as soon as they are here. This page may be closed meanwhile."}
      </p>
      <ul class="downloads-list">
        {models.map(({ model, state }) => (
          <li data-model={model.id} data-state={state.state}>
            <p class="model-name">
              <span class="wrap">{model.name}</span>
              {state.state === "present" ? <span class="tag tag-accent">Here</span> : null}
            </p>
            <Progress id={model.id} name={model.name} state={state} />
          </li>
        ))}
      </ul>
      <div class="actions">
        {failed ? <OfferAction verb="download" label="Try again" /> : null}
        <OfferAction verb="cancel" label="Cancel" />
      </div>
    </>
  );
}

function OfferAction({ verb, label }: { verb: "download" | "cancel"; label: string }) {
  const action = `/offer/${verb}`;
  return (
    <form method="post" action={action} hx-post={action} hx-target="#offer" hx-swap="innerMorph">
      <button class="button" id={`offer-${verb}`} type="submit">
        {label}
      </button>
    </form>
  );
}
