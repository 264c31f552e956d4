/** @jsxImportSource hono/jsx */
import type { StageTest } from "../../src/domain/provider.ts";
import type { Stage } from "../../src/domain/stage.ts";
import { STAGE_NAMES } from "../../src/lib/words.ts";
import { showErrorsIn } from "./htmx.tsx";

const LABELS: Readonly<Record<Stage, string>> = {
  stt: "Test with the microphone",
  llm: "Test",
  tts: "Test",
};

/**
 * A button that tries a stage; what it said or heard appears below it. For speech recognition,
 * `src/client/models.ts` records a sentence first.
 */
export function StageTestButton({ stage }: { stage: Stage }) {
  const id = `test-${stage}`;
  const result = `${id}-result`;
  return (
    <div class="stack tight" data-test={stage}>
      <div class="row">
        <button
          class="button button-small"
          id={id}
          type="button"
          hx-post={`/providers/test/${stage}`}
          hx-target={`#${result}`}
          hx-swap="innerHTML"
          hx-disable="this"
          {...showErrorsIn(result)}
        >
          {LABELS[stage]}
          <span class="visually-hidden">: {STAGE_NAMES[stage].toLowerCase()}</span>
        </button>
        <p class="small muted" role="status" id={`${id}-progress`}></p>
      </div>
      <div id={result} class="error-slot" aria-live="polite"></div>
    </div>
  );
}

/** What came of a test. */
export function StageTestResult({ test, sound }: { test: StageTest; sound?: string | undefined }) {
  const { stage, firstMs, totalMs, text, realtime } = test;
  return (
    <div class="stack tight" data-tested={stage}>
      <p class="wrap" dir="auto">
        {text === "" ? "No words were heard." : `“${text}”`}
      </p>
      {sound === undefined ? null : (
        // biome-ignore lint/a11y/useMediaCaption: its words are written above it
        <audio controls autoplay src={sound} aria-label="The voice's sentence"></audio>
      )}
      <p class="small muted">
        {stage === "stt"
          ? `Recognised in ${seconds(totalMs)}.`
          : `First ${stage === "tts" ? "sound" : "word"} after ${seconds(firstMs)}, complete after ${seconds(totalMs)}.`}
        {realtime === undefined ? "" : ` Realtime: ${realtime ? "yes" : "no"}.`}
      </p>
    </div>
  );
}

function seconds(ms: number): string {
  return ms < 950 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
