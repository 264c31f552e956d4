/** What a conversation uses unless the person changes it. */
export interface SetupDefaults {
  systemPrompt: string;
  greeting?: string | undefined;
  voice: string;
  llmModel: string;
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
        <input id="voice" name="voice" type="text" maxlength={64} value={defaults.voice} />
      </div>
    </div>
  );
}
