/** @jsxImportSource hono/jsx */
import { bytesOf, type ListedModel } from "../../src/domain/catalog.ts";
import type { FoundServer, StageOverview } from "../../src/domain/provider.ts";
import type { Speaker } from "../../src/domain/speaker.ts";
import { STAGES, type Stage } from "../../src/domain/stage.ts";
import { formatBytes, STAGE_NAMES } from "../../src/lib/words.ts";
import { ErrorSlot, formAttributes } from "./htmx.tsx";
import { listId } from "./offered-names.tsx";
import { SpeakerField } from "./speakers.tsx";

/** Where a form stands. */
export interface FormPlace {
  /** The page to load once the form was accepted. */
  next: "/" | "/models";
  /** Prefix of all ids, because a page has several forms of a kind. */
  id: string;
}

const NO_AUTOCOMPLETE = { autocomplete: "off", spellcheck: false } as const;

/** Takes an OpenAI key. The server stores it and never shows it again. */
export function OpenAiForm(props: { place: FormPlace; stages: readonly Stage[]; hasKey: boolean }) {
  const { place, stages, hasKey } = props;
  const id = `${place.id}-key`;
  const problem = `${place.id}-problem`;
  return (
    <form class="stack" {...formAttributes("/providers/openai", problem)}>
      <input type="hidden" name="next" value={place.next} />
      {stages.map((stage) => (
        <input type="hidden" name="stages" value={stage} />
      ))}
      <div class="stack tight">
        <label for={id}>{hasKey ? "Replace the OpenAI key" : "OpenAI key"}</label>
        <div class="field-row">
          <input
            id={id}
            name="api_key"
            type="password"
            maxlength={1024}
            placeholder={hasKey ? "Leave empty to keep the saved key" : "sk-…"}
            required={!hasKey}
            {...NO_AUTOCOMPLETE}
          />
          <button class="button" type="submit">
            Use OpenAI
          </button>
        </div>
      </div>
      <ErrorSlot id={problem} />
    </form>
  );
}

const MODEL_EXAMPLES: Readonly<Record<Stage, string>> = {
  stt: "whisper-1",
  llm: "llama3.2",
  tts: "kokoro",
};

/**
 * Takes the address of any OpenAI-compatible server, for one stage or for several. Once there is an
 * address, its server is asked for the names that it offers.
 *
 * @param current the endpoint in use, to change parts of it
 */
export function EndpointForm(props: {
  place: FormPlace;
  stages: readonly Stage[];
  current?: StageOverview | undefined;
}) {
  const { place, stages, current } = props;
  const { id } = place;
  const several = stages.length > 1;
  const problem = `${id}-problem`;
  const named = (name: string) => ({ id: `${id}-${name}`, name });
  const listed = (name: string) => ({ ...named(name), list: listId(id, name) });
  return (
    <form id={`${id}-form`} class="stack" {...formAttributes("/providers/endpoint", problem)}>
      <input type="hidden" name="next" value={place.next} />
      <input type="hidden" name="form_id" value={id} />
      <TextField
        {...named("base_url")}
        label="Address"
        placeholder="http://127.0.0.1:11434/v1"
        value={current?.baseURL}
        max={2048}
        inputmode="url"
        required
      />
      <TextField
        {...named("api_key")}
        label="API key (optional)"
        type="password"
        placeholder="Leave empty to use the saved one, if any"
      />
      {several ? null : <input type="hidden" name="stages" value={stages[0] ?? "llm"} />}
      {stages.map((stage) => (
        <TextField
          {...listed(`${stage}_model`)}
          label={several ? `Model: ${STAGE_NAMES[stage].toLowerCase()}` : "Model"}
          placeholder={MODEL_EXAMPLES[stage]}
          value={current?.model}
        />
      ))}
      {stages.includes("tts") ? (
        <TextField
          {...listed("tts_voice")}
          label="Voice"
          placeholder="af_heart"
          value={current?.voice}
          max={64}
        />
      ) : null}
      <div
        id={`${id}-offered`}
        class="error-slot"
        role="status"
        hx-post="/providers/offered"
        hx-target={`#${id}-offered`}
        hx-swap="innerHTML"
        hx-trigger={offerTrigger(id)}
      ></div>
      {stages.includes("stt") ? (
        <RealtimeField {...named("stt_realtime")} current={current?.realtime} />
      ) : null}
      {several ? <StageBoxes id={id} stages={stages} /> : null}
      <p>
        <button class="button" type="submit">
          Use this server
        </button>
      </p>
      <ErrorSlot id={problem} />
    </form>
  );
}

/** When a server is asked for its names: its address or key changed, or a name is about to be. */
function offerTrigger(id: string): string {
  const changed = ["base_url", "api_key"].map((name) => `change from:#${id}-${name}`);
  return [...changed, `focusin once from:#${id}-form`].join(", ");
}

function RealtimeField(props: { id: string; name: string; current: boolean | undefined }) {
  const { id, name, current } = props;
  const choices = [
    { value: "", label: "Automatic", chosen: current === undefined },
    { value: "true", label: "Always", chosen: current === true },
    { value: "false", label: "Never", chosen: current === false },
  ];
  return (
    <div class="stack tight">
      <label for={id}>Realtime transcription</label>
      <select id={id} name={name}>
        {choices.map(({ value, label, chosen }) => (
          <option value={value} selected={chosen}>
            {label}
          </option>
        ))}
      </select>
    </div>
  );
}

function StageBoxes({ id, stages }: { id: string; stages: readonly Stage[] }) {
  return (
    <fieldset>
      <legend>Use for</legend>
      <div class="row loose">
        {STAGES.filter((stage) => stages.includes(stage)).map((stage) => (
          <label class="row" for={`${id}-for-${stage}`}>
            <input id={`${id}-for-${stage}`} type="checkbox" name="stages" value={stage} checked />
            {STAGE_NAMES[stage]}
          </label>
        ))}
      </div>
    </fieldset>
  );
}

/** A field of one line. */
export function TextField(props: {
  id: string;
  name: string;
  label: string;
  type?: "text" | "password";
  placeholder?: string;
  value?: string | undefined;
  list?: string;
  inputmode?: "url";
  required?: boolean;
  max?: number;
}) {
  const { id, label, max = 256, type = "text", ...input } = props;
  return (
    <div class="stack tight">
      <label for={id}>{label}</label>
      <input
        id={id}
        type={type}
        maxlength={type === "text" ? max : 2048}
        {...NO_AUTOCOMPLETE}
        {...input}
      />
    </div>
  );
}

/** Chooses one of the downloaded models for a stage. */
export function LocalForm(props: {
  place: FormPlace;
  stage: StageOverview;
  downloaded: readonly ListedModel[];
  /** Of the voice that is chosen, or of the first. */
  speakers: readonly Speaker[];
}) {
  const { place, stage, downloaded, speakers } = props;
  if (downloaded.length === 0) {
    return (
      <p class="small muted">
        No models downloaded yet. <a href={`#models-${stage.stage}`}>Download one</a> below.
      </p>
    );
  }
  const id = `${place.id}-model`;
  const problem = `${place.id}-problem`;
  return (
    <form class="stack" {...formAttributes("/providers/local", problem)}>
      <input type="hidden" name="stage" value={stage.stage} />
      <div class="stack tight">
        <label for={id}>Model</label>
        <div class="field-row">
          <select id={id} name="model">
            {downloaded.map(({ model }) => (
              <option value={model.id} selected={model.id === stage.model}>
                {model.name} ({formatBytes(bytesOf(model))})
              </option>
            ))}
          </select>
          <button class="button" type="submit">
            Use
          </button>
        </div>
      </div>
      {stage.stage === "tts" ? (
        <SpeakerField
          id={`${place.id}-voice`}
          modelField={id}
          speakers={speakers}
          chosen={stage.use === "local" ? stage.voice : undefined}
        />
      ) : null}
      <ErrorSlot id={problem} />
    </form>
  );
}

/** A button that searches this machine for servers; nothing is probed before it is pressed. */
export function FindServers({ next }: { next: FormPlace["next"] }) {
  return (
    <div id="found">
      <button
        class="button button-small"
        type="button"
        hx-get={`/providers/found?next=${next}`}
        hx-target="#found"
        hx-swap="innerHTML"
      >
        Find servers on this machine
      </button>
    </div>
  );
}

/** The servers that were found; one button makes a server's model the language model. */
export function FoundServers(props: { servers: readonly FoundServer[]; next: FormPlace["next"] }) {
  const { servers, next } = props;
  if (servers.length === 0) {
    return <p class="small muted">No Ollama, llama.cpp or LM Studio server found.</p>;
  }
  return (
    <ul class="stack">
      {servers.map((server, index) => (
        <li>
          <FoundServerForm server={server} place={{ next, id: `found-${index}` }} />
        </li>
      ))}
    </ul>
  );
}

function FoundServerForm({ server, place }: { server: FoundServer; place: FormPlace }) {
  const id = `${place.id}-model`;
  const problem = `${place.id}-problem`;
  return (
    <form class="stack" {...formAttributes("/providers/endpoint", problem)}>
      <input type="hidden" name="next" value={place.next} />
      <input type="hidden" name="stages" value="llm" />
      <input type="hidden" name="base_url" value={server.baseURL} />
      <div class="stack tight">
        <label for={id}>{server.name} found. Model:</label>
        <div class="field-row">
          <select id={id} name="llm_model">
            {server.models.map((model) => (
              <option value={model}>{model}</option>
            ))}
          </select>
          <button class="button" type="submit">
            Use as language model
          </button>
        </div>
      </div>
      <ErrorSlot id={problem} />
    </form>
  );
}
