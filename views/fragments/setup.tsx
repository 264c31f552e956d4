/** @jsxImportSource hono/jsx */
import {
  AUTOMATIC,
  FULLY_SUPPORTED,
  LANGUAGES,
  languageName,
  ownLanguageName,
} from "../../src/domain/language.ts";
import { type Speaker, speakerNumber } from "../../src/domain/speaker.ts";
import { onceSync } from "../../src/lib/lazy.ts";
import { SpeakerOptions } from "./speakers.tsx";

/** What a conversation uses unless the person changes it. */
export interface SetupDefaults {
  systemPrompt: string;
  greeting?: string | undefined;
  voice: string;
  /** Of a local voice; empty where a server speaks, whose voices are not known here. */
  speakers: readonly Speaker[];
  llmModel: string;
  /** A BCP 47 tag; null: the recogniser finds out. */
  language: string | null;
  keyterms: readonly string[];
}

interface SetupProps {
  livekitUrl: string;
  room: string;
  defaults: SetupDefaults;
}

/** The settings of a conversation: room, participant, microphone, and how the agent behaves. */
export function Setup({ livekitUrl, room, defaults }: SetupProps) {
  return (
    <form
      id="chat-form"
      class="card stack"
      aria-labelledby="setup-title"
      data-livekit-url={livekitUrl}
      autocomplete="off"
    >
      <h2 id="setup-title">Setup</h2>
      <fieldset id="setup-fields" class="stack">
        <legend class="visually-hidden">Conversation</legend>
        <TextField id="room" label="Room" value={room} required />
        <TextField id="name" label="Your name" placeholder="Optional" />
        <TextField id="identity" label="Identity" required />
        <LanguageField chosen={defaults.language} />
      </fieldset>
      <MicrophoneField />
      <fieldset>
        <details>
          <summary>Settings</summary>
          <AgentFields defaults={defaults} />
        </details>
      </fieldset>
    </form>
  );
}

function TextField(props: {
  id: string;
  label: string;
  value?: string;
  placeholder?: string;
  required?: boolean;
}) {
  const { id, label, ...input } = props;
  return (
    <div class="stack tight">
      <label for={id}>{label}</label>
      <input
        id={id}
        name={id}
        type="text"
        maxlength={128}
        spellcheck={false}
        dir="auto"
        {...input}
      />
    </div>
  );
}

/** Each language by the name that its speakers know, and in English. Naming all takes a while. */
const languageLabels = onceSync(() => {
  const named = LANGUAGES.map((tag) => ({ tag, label: languageLabel(tag) }));
  const others = named.slice(FULLY_SUPPORTED.length);
  return {
    full: named.slice(0, FULLY_SUPPORTED.length),
    others: others.toSorted((one, other) => one.label.localeCompare(other.label, "en")),
  };
});

function languageLabel(tag: string): string {
  const [own, english] = [ownLanguageName(tag), languageName(tag)];
  return own === english ? own : `${own} (${english})`;
}

/** The language that is spoken. The one that is configured can be chosen even if no list has it. */
function LanguageField({ chosen }: { chosen: string | null }) {
  const { full, others } = languageLabels();
  const option = ({ tag, label }: { tag: string; label: string }) => (
    <option value={tag} lang={tag} selected={tag === chosen}>
      {label}
    </option>
  );
  const extra = chosen === null || LANGUAGES.includes(chosen) ? [] : [chosen];
  return (
    <div class="stack tight">
      <label for="language">Language</label>
      <select id="language" name="language">
        <option value={AUTOMATIC} selected={chosen === null}>
          Automatic
        </option>
        {extra.map((tag) => option({ tag, label: languageLabel(tag) }))}
        <optgroup label="Full support">{full.map(option)}</optgroup>
        <optgroup label="More languages">{others.map(option)}</optgroup>
      </select>
    </div>
  );
}

function MicrophoneField() {
  return (
    <div class="stack tight">
      <label for="microphone">Microphone</label>
      <div class="field-row">
        <select id="microphone">
          <option value="">System default</option>
        </select>
        <button
          id="test-microphone"
          class="button"
          type="button"
          aria-describedby="microphone-hint"
        >
          Test
        </button>
      </div>
      <span class="level level-wide" data-level data-active="false" aria-hidden="true"></span>
      <p id="microphone-hint" class="small muted" role="status" hidden></p>
    </div>
  );
}

function VoiceField({ voice, speakers }: Pick<SetupDefaults, "voice" | "speakers">) {
  const attributes = { id: "voice", name: "voice", "aria-describedby": "voice-hint" };
  if (speakers.length === 0) {
    return <input {...attributes} type="text" maxlength={64} value={voice} dir="auto" />;
  }
  return (
    <select {...attributes}>
      <SpeakerOptions
        speakers={speakers}
        chosen={speakers[speakerNumber(speakers, voice) ?? 0]?.id}
      />
    </select>
  );
}

function AgentFields({ defaults }: { defaults: SetupDefaults }) {
  return (
    <div class="stack">
      <div class="stack tight">
        <label for="system_prompt">System prompt</label>
        <textarea id="system_prompt" name="system_prompt" rows={6} maxlength={8000} dir="auto">
          {defaults.systemPrompt}
        </textarea>
        <p class="small muted">
          Instructions for the language model (<span class="wrap">{defaults.llmModel}</span>).
        </p>
      </div>
      <div class="stack tight">
        <label for="greeting">Greeting</label>
        <input
          id="greeting"
          name="greeting"
          type="text"
          maxlength={1000}
          value={defaults.greeting ?? ""}
          placeholder="What the agent says first"
          dir="auto"
        />
      </div>
      <div class="stack tight">
        <label for="voice">Voice</label>
        <VoiceField voice={defaults.voice} speakers={defaults.speakers} />
        <p id="voice-hint" class="small muted">
          It must speak the language of the conversation.
        </p>
      </div>
      <div class="stack tight">
        <label for="keyterms">Words to expect</label>
        <textarea
          id="keyterms"
          name="keyterms"
          rows={2}
          maxlength={6600}
          dir="auto"
          aria-describedby="keyterms-hint"
        >
          {defaults.keyterms.join(", ")}
        </textarea>
        <p id="keyterms-hint" class="small muted">
          Names and terms for speech recognition, separated by commas.
        </p>
      </div>
    </div>
  );
}
