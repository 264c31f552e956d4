import { pcmOf } from "../../../src/lib/wav.ts";
import type { DialectWire, RealtimeDialect, Receiver } from "../dialect.ts";

const SPEACHES = "speaches-ai/speaches#521";
const OTHER_DIALECTS = "crmitchelmore/justspeaktoit#427";
const NO_ACCESS = "Natively-AI-assistant/natively-cluely-ai-assistant#175";

function typeOf(text: string): string {
  return String(Reflect.get(Object(JSON.parse(text)), "type"));
}

function error(code: string | null, message: string): string {
  return JSON.stringify({ type: "error", error: { type: "invalid_request_error", code, message } });
}

/** A dialect that answers each of the client's messages in its own way. */
function answering(
  report: string,
  name: string,
  answer: (wire: DialectWire, text: string) => void,
): RealtimeDialect {
  return { name, report, connect: (wire) => ({ receive: (text) => answer(wire, text) }) };
}

const closesAtOnce = answering(SPEACHES, "closes at the first message", (wire) =>
  wire.close(1008, "policy violation"),
);

export const refusesUpdate = answering(SPEACHES, "refuses session.update", (wire, text) => {
  if (typeOf(text) === "session.update") wire.send(error(null, "unknown field session.type"));
});

const neverAnswers = answering(SPEACHES, "never answers", () => {});

const sendsBytes = answering(OTHER_DIALECTS, "answers in binary frames", (wire) =>
  wire.send(new Uint8Array([1, 2, 3])),
);

const sendsUnknownEvents = answering(OTHER_DIALECTS, "sends events nobody knows", (wire) =>
  wire.send(JSON.stringify({ type: "Turn", transcript: "", end_of_turn: false })),
);

/** OpenAI's beta protocol, which knows the update by another name. */
const wantsBetaUpdate = answering(OTHER_DIALECTS, "wants the beta's update", (wire, text) => {
  if (typeOf(text) !== "transcription_session.update") {
    wire.send(error("invalid_value", "Passing session.type is only allowed for GA sessions."));
  }
});

/** A session for speech-to-speech, whatever was asked for. */
const opensConversation = answering(SPEACHES, "opens a conversation", (wire, text) => {
  if (typeOf(text) === "session.update") {
    wire.send(JSON.stringify({ type: "session.updated", session: { type: "realtime" } }));
  }
});

/** Like the well-behaved session, but for what `change` does with some of the messages. */
function deviating(
  report: string,
  name: string,
  change: (type: string, wire: DialectWire) => "pass" | "drop",
): RealtimeDialect {
  return {
    name,
    report,
    connect(wire, session) {
      const inner: Receiver = session(wire);
      return {
        receive: (text) => {
          if (change(typeOf(text), wire) === "pass") inner.receive(text);
        },
      };
    },
  };
}

const modelNotFound = deviating(
  NO_ACCESS,
  "does not know the model at the first commit",
  (type, wire) => {
    if (type !== "input_audio_buffer.commit") return "pass";
    wire.send(
      error("model_not_found", "The model does not exist or you do not have access to it."),
    );
    return "drop";
  },
);

const confirmsOnly = deviating(SPEACHES, "confirms the session and then says nothing", (type) =>
  type === "session.update" ? "pass" : "drop",
);

/** Audio arrives in parts of 50 ms. */
const SENTENCE_PARTS = 30;

const closesInSentence: RealtimeDialect = {
  name: "closes in the middle of the first sentence",
  report: SPEACHES,
  connect(wire, session) {
    const inner = session(wire);
    let parts = 0;
    return {
      receive(text) {
        inner.receive(text);
        if (typeOf(text) !== "input_audio_buffer.append") return;
        parts += 1;
        if (parts === SENTENCE_PARTS) wire.close(1011, "internal error");
      },
    };
  },
};

/** The level of 16-bit samples below which nobody speaks. */
const SILENT = 200;
const SILENT_MS = 1500;

/** Ends a session in which nobody has spoken for some time, as the limit of a session would. */
export const closesInSilence: RealtimeDialect = {
  name: "closes again and again while nobody speaks",
  report: "https://platform.openai.com/docs/guides/realtime-transcription",
  connect(wire, session) {
    const inner = session(wire);
    let heardAt = performance.now();
    return {
      receive(text) {
        inner.receive(text);
        const { audio }: { audio?: unknown } = Object(JSON.parse(text));
        if (typeof audio !== "string") return;
        const samples = pcmOf(Buffer.from(audio, "base64"));
        if (samples.some((sample) => Math.abs(sample) > SILENT)) heardAt = performance.now();
        if (performance.now() - heardAt > SILENT_MS) wire.close(1001, "session limit");
      },
    };
  },
};

const hearsNothing: RealtimeDialect = {
  name: "completes everything without text",
  report: SPEACHES,
  connect(wire, session) {
    return session({
      terminate: () => wire.terminate(),
      send: (text) => {
        const event = Object(JSON.parse(text)) as Record<string, unknown>;
        if (String(event["type"]).endsWith(".delta")) return;
        if ("transcript" in event) event["transcript"] = "";
        wire.send(JSON.stringify(event));
      },
    });
  },
};

/** The session as it should be, but for the words that it has heard. */
export function transcribing(words: (text: string) => string): RealtimeDialect {
  return {
    name: "writes other words",
    report: "VocaHQ/vocalinux#334",
    connect(wire, session) {
      return session({
        terminate: () => wire.terminate(),
        send: (text) => {
          const event = Object(JSON.parse(text)) as Record<string, unknown>;
          const { transcript, delta } = event;
          if (typeof transcript === "string") event["transcript"] = words(transcript);
          if (typeof delta === "string") event["delta"] = words(delta);
          wire.send(JSON.stringify(event));
        },
      });
    },
  };
}

/** Dialects that show themselves before anybody has spoken. */
export const AT_ONCE: readonly RealtimeDialect[] = [
  closesAtOnce,
  refusesUpdate,
  neverAnswers,
  sendsBytes,
  sendsUnknownEvents,
  wantsBetaUpdate,
  opensConversation,
];

/** Dialects that show themselves only in the conversation. */
export const IN_CONVERSATION: readonly RealtimeDialect[] = [
  modelNotFound,
  confirmsOnly,
  closesInSentence,
  hearsNothing,
];

/** A model that takes no prompt, such as OpenAI's `gpt-realtime-whisper`. */
export const refusesPrompt: RealtimeDialect = {
  name: "refuses a prompt",
  report: "https://platform.openai.com/docs/guides/realtime-transcription",
  connect(wire, session) {
    const inner = session(wire);
    return {
      receive: (text) => {
        if (typeOf(text) === "session.update" && text.includes('"prompt"')) {
          wire.send(error("invalid_value", "Prompt is not supported for this model."));
        } else inner.receive(text);
      },
    };
  },
};
