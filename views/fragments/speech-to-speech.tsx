/** @jsxImportSource hono/jsx */
import type { SpeechToSpeechOverview } from "../../src/domain/provider.ts";
import { ErrorNotice, ErrorSlot, formAttributes } from "./htmx.tsx";
import { TextField } from "./provider-forms.tsx";

const TITLE = "speech-to-speech-title";

/** Has one realtime model serve all three stages, or the stages again. */
export function SpeechToSpeechSection({ overview }: { overview: SpeechToSpeechOverview }) {
  const { chosen, fixedBy, problem } = overview;
  return (
    <section class="card stack" aria-labelledby={TITLE} data-chosen={String(chosen)}>
      <h2 id={TITLE}>Speech to speech</h2>
      <p class="small muted">
        One realtime model hears you and speaks itself, in place of the three stages above.
      </p>
      {chosen ? <p class="wrap">{inUse(overview)}</p> : null}
      {problem === undefined ? null : <ErrorNotice>{problem}</ErrorNotice>}
      {fixedBy === undefined ? (
        <Choice overview={overview} />
      ) : (
        <p class="small muted wrap">
          Set by the environment variable <code>{fixedBy}</code>, which overrides this page.
        </p>
      )}
    </section>
  );
}

function inUse({ baseURL, model, voice, hasKey }: SpeechToSpeechOverview): string {
  return `In use: ${model}, voice ${voice}, at ${baseURL}${hasKey ? ", with a key" : ""}`;
}

function Choice({ overview }: { overview: SpeechToSpeechOverview }) {
  return (
    <>
      {overview.chosen ? (
        <form method="post" action="/providers/stages">
          <button class="button" type="submit">
            Use the three stages again
          </button>
        </form>
      ) : null}
      <details>
        <summary>
          {overview.chosen ? "Change" : "Set up"}
          <span class="visually-hidden"> speech to speech</span>
        </summary>
        <SpeechToSpeechForm overview={overview} />
      </details>
    </>
  );
}

function SpeechToSpeechForm({ overview }: { overview: SpeechToSpeechOverview }) {
  const problem = "speech-to-speech-problem";
  const named = (name: string) => ({ id: `speech-to-speech-${name}`, name });
  return (
    <form class="stack" {...formAttributes("/providers/speech-to-speech", problem)}>
      <TextField
        {...named("base_url")}
        label="Address"
        inputmode="url"
        value={overview.baseURL}
        required
      />
      <TextField
        {...named("api_key")}
        label="API key (optional)"
        type="password"
        placeholder="Leave empty to use the saved one, if any"
      />
      <TextField {...named("model")} label="Model" value={overview.model} required />
      <TextField {...named("voice")} label="Voice" value={overview.voice} max={64} required />
      <p>
        <button class="button" type="submit">
          Use speech to speech
        </button>
      </p>
      <ErrorSlot id={problem} />
    </form>
  );
}
