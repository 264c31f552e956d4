import type { FoundServer } from "../../src/domain/provider.ts";
import { STAGES, type Stage } from "../../src/domain/stage.ts";
import { STAGE_NAMES } from "../../src/lib/words.ts";

/** Where a form leads when it was taken, and where its refusal is told. */
export interface FormPlace {
  /** A path of Parley's. */
  next: "/" | "/models";
  /** Prefix of the ids, as the forms stand in several places of a page. */
  id: string;
}

const autocompleteOff = { autocomplete: "off", spellcheck: false } as const;

/** HTMX sends the form, so that a refusal stands beside it; when it was taken the page is loaded. */
export function sent(action: string, place: FormPlace) {
  return {
    method: "post" as const,
    action,
    "hx-post": action,
    "hx-swap": "none",
    "hx-status:4xx": `target:#${place.id}-problem swap:innerHTML`,
    "hx-status:5xx": `target:#${place.id}-problem swap:innerHTML`,
  };
}

/** Paste a key: it is stored by the server, and never shown again. */
export function OpenAiForm(props: { place: FormPlace; stages: readonly Stage[]; hasKey: boolean }) {
  const { place, stages, hasKey } = props;
  const id = `${place.id}-key`;
  return (
    <form class="provider-form" {...sent("/providers/openai", place)}>
      <Hidden place={place} stages={stages} />
      <div class="field">
        <label for={id}>{hasKey ? "Another OpenAI key" : "OpenAI key"}</label>
        <div class="field-row">
          <input
            id={id}
            name="api_key"
            type="password"
            maxlength={1024}
            placeholder={hasKey ? "Empty: the one that is stored" : "sk-…"}
            required={!hasKey}
            {...autocompleteOff}
          />
          <button class="button" type="submit">
            Use OpenAI
          </button>
        </div>
      </div>
      <div id={`${place.id}-problem`}></div>
    </form>
  );
}

/** Any server with OpenAI's API, for one stage or for several. */
export function EndpointForm({ place, stages }: { place: FormPlace; stages: readonly Stage[] }) {
  const several = stages.length > 1;
  const field = (name: string) => `${place.id}-${name}`;
  return (
    <form class="provider-form" {...sent("/providers/endpoint", place)}>
      <input type="hidden" name="next" value={place.next} />
      <Text
        id={field("base_url")}
        name="base_url"
        label="Address"
        type="url"
        placeholder="http://127.0.0.1:11434/v1"
        required
      />
      <Text
        id={field("api_key")}
        name="api_key"
        label="Key, if it wants one"
        type="password"
        placeholder="Empty: none, or the one stored for this address"
      />
      {several ? null : <input type="hidden" name="stages" value={stages[0] ?? "llm"} />}
      {stages.map((stage) => (
        <Text
          id={field(`${stage}_model`)}
          name={`${stage}_model`}
          label={several ? `Model: ${STAGE_NAMES[stage].toLowerCase()}` : "Model"}
          placeholder={MODEL_EXAMPLES[stage]}
        />
      ))}
      {stages.includes("tts") ? (
        <Text
          id={field("tts_voice")}
          name="tts_voice"
          label="Voice"
          placeholder="af_heart"
          max={64}
        />
      ) : null}
      {several ? <StageBoxes id={place.id} stages={stages} /> : null}
      <button class="button provider-submit" type="submit">
        Use this server
      </button>
      <div id={`${place.id}-problem`}></div>
    </form>
  );
}

const MODEL_EXAMPLES: Readonly<Record<Stage, string>> = {
  stt: "whisper-1",
  llm: "llama3.2",
  tts: "kokoro",
};

function StageBoxes({ id, stages }: { id: string; stages: readonly Stage[] }) {
  return (
    <fieldset class="boxes">
      <legend>For</legend>
      {STAGES.filter((stage) => stages.includes(stage)).map((stage) => (
        <label class="box" for={`${id}-for-${stage}`}>
          <input id={`${id}-for-${stage}`} type="checkbox" name="stages" value={stage} checked />
          {STAGE_NAMES[stage]}
        </label>
      ))}
    </fieldset>
  );
}

/** Servers that were found on this machine; each serves the language model with one button. */
export function FoundServers({
  servers,
  next,
}: {
  servers: readonly FoundServer[];
  next: FormPlace["next"];
}) {
  if (servers.length === 0) {
    return <p class="hint">No Ollama, llama.cpp or LM Studio answers on this machine.</p>;
  }
  return (
    <ul class="found">
      {servers.map(({ name, baseURL, models }, index) => {
        const place: FormPlace = { next, id: `found-${index}` };
        return (
          <li>
            <form class="provider-form" {...sent("/providers/endpoint", place)}>
              <input type="hidden" name="next" value={next} />
              <input type="hidden" name="stages" value="llm" />
              <input type="hidden" name="base_url" value={baseURL} />
              <div class="field">
                <label for={`${place.id}-model`}>{name} runs here, with</label>
                <div class="field-row">
                  <select id={`${place.id}-model`} name="llm_model">
                    {models.map((model) => (
                      <option value={model}>{model}</option>
                    ))}
                  </select>
                  <button class="button" type="submit">
                    Use as language model
                  </button>
                </div>
              </div>
              <div id={`${place.id}-problem`}></div>
            </form>
          </li>
        );
      })}
    </ul>
  );
}

/** Asks for the servers of this machine when it is pressed; nothing is probed before. */
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

function Hidden({ place, stages }: { place: FormPlace; stages: readonly Stage[] }) {
  return (
    <>
      <input type="hidden" name="next" value={place.next} />
      {stages.map((stage) => (
        <input type="hidden" name="stages" value={stage} />
      ))}
    </>
  );
}

function Text(props: {
  id: string;
  name: string;
  label: string;
  type?: "text" | "url" | "password";
  placeholder?: string;
  required?: boolean;
  max?: number;
}) {
  const { id, label, max = 256, type = "text", ...input } = props;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        id={id}
        type={type}
        maxlength={type === "text" ? max : 2048}
        {...autocompleteOff}
        {...input}
      />
    </div>
  );
}
