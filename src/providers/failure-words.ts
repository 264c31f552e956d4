import type { Stage } from "../domain/stage.ts";
import type { ConnectionKind, FailureFacts } from "./failure-facts.ts";
import type { ProviderSource, Setting } from "./provider-source.ts";
import type { RefusalKind } from "./refusal-rules.ts";

export interface FailureContext {
  stage: Stage;
  facts: FailureFacts;
  source: ProviderSource;
}

interface Wording {
  code: string;
  finding(context: FailureContext): string;
  remedy(context: FailureContext): string;
}

const SAY_AGAIN = "Please say it again.";

/** What each kind of failure is called, and the one thing that helps. */
export const PROBLEMS: Readonly<Record<RefusalKind | ConnectionKind, Wording>> = {
  key: {
    code: "provider_unauthorized",
    finding: ({ source }) =>
      source.hasKey ? "refused the API key" : "wants an API key, and none is set",
    remedy: ({ source }) => (source.hasKey ? change("key", source) : enter("key", source)),
  },
  forbidden: {
    code: "provider_unauthorized",
    finding: () => "refused the API key for this use",
    remedy: ({ source }) => change("key", source),
  },
  region: {
    code: "provider_unauthorized",
    finding: () => "does not serve the country that Parley runs in",
    remedy: ({ source }) => change("address", source),
  },
  model_access: {
    code: "provider_unauthorized",
    finding: ({ source }) => `does not let this API key use ${the("model", source)}`,
    remedy: ({ source }) => change("model", source),
  },
  model_unknown: {
    code: "provider_model_unknown",
    finding: ({ source }) => `does not know ${the("model", source)}`,
    remedy: ({ source }) => change("model", source),
  },
  model_unfit: {
    code: "provider_model_unknown",
    finding: ({ source }) => `cannot use ${the("model", source)} for this`,
    remedy: ({ source }) => change("model", source),
  },
  cannot_load: {
    code: "provider_model_unknown",
    finding: ({ source }) => `could not load ${the("model", source)}`,
    remedy: ({ source }) => `${change("model", source)} The server's log may say more.`,
  },
  not_loaded: {
    code: "provider_model_unknown",
    finding: () => "has no model loaded",
    remedy: () => "Load one in that server.",
  },
  loading: {
    code: "provider_loading",
    finding: ({ source }) => `is still loading ${the("model", source)}`,
    remedy: ({ facts }) => waitFor(facts),
  },
  voice_unknown: {
    code: "provider_voice_unknown",
    finding: ({ source }) => `does not know ${the("voice", source)}`,
    remedy: ({ source }) => change("voice", source),
  },
  quota: {
    code: "provider_quota",
    finding: () => "reported that the account's quota or balance is used up",
    remedy: ({ source }) => `Check the plan and its balance at ${source.server}.`,
  },
  rate_limit: {
    code: "provider_rate_limited",
    finding: () => "has reached its rate limit for this key",
    remedy: ({ facts }) => waitFor(facts),
  },
  context: {
    code: "provider_context",
    finding: ({ source }) =>
      `cannot take a conversation of this length with ${the("model", source)}`,
    remedy: () => "Start a new conversation, or give the model a longer context.",
  },
  too_large: {
    code: "provider_too_large",
    finding: ({ stage }) =>
      stage === "stt"
        ? "does not take this much audio at once"
        : "does not take this much text at once",
    remedy: ({ stage, source }) =>
      stage === "stt" ? "Speak in shorter turns." : change("model", source),
  },
  audio: {
    code: "provider_rejected",
    finding: () => "could not read the audio",
    remedy: ({ source }) => change("model", source),
  },
  declined: {
    code: "provider_declined",
    finding: () => "declined to answer this",
    remedy: () => "Ask in another way.",
  },
  parameter: {
    code: "provider_rejected",
    finding: ({ facts, source }) =>
      `does not accept ${facts.field === undefined ? "a part of the request" : `“${facts.field}”`} with ${the("model", source)}`,
    remedy: ({ source }) => change("model", source),
  },
  rejected: {
    code: "provider_rejected",
    finding: ({ stage, source }) =>
      `did not accept the request; it may not know ${the("model", source)}${stage === "tts" ? ` or ${the("voice", source)}` : ""}`,
    remedy: ({ stage, source }) =>
      stage === "tts" ? changeEither(["model", "voice"], source) : change("model", source),
  },
  not_found: {
    code: "provider_not_found",
    finding: ({ source }) => `does not know the address or ${the("model", source)}`,
    remedy: ({ source }) => changeEither(["model", "address"], source),
  },
  address: {
    code: "provider_not_found",
    finding: () => "has nothing at this address",
    remedy: ({ source }) => `${change("address", source)} It usually ends in /v1.`,
  },
  page: {
    code: "provider_not_found",
    finding: () => "answered with a web page",
    remedy: ({ source }) => `${change("address", source)} It usually ends in /v1.`,
  },
  proxy: {
    code: "provider_unreachable",
    finding: () => "cannot be reached: a proxy wants a password",
    remedy: () => "Check HTTP_PROXY and HTTPS_PROXY.",
  },
  gateway: {
    code: "provider_failed",
    finding: () => "could not reach the server behind it",
    remedy: () => SAY_AGAIN,
  },
  overloaded: {
    code: "provider_failed",
    finding: () => "is overloaded or not ready",
    remedy: ({ facts }) => (facts.retryAfterS === undefined ? SAY_AGAIN : waitFor(facts)),
  },
  timeout: {
    code: "provider_timeout",
    finding: () => "needed too long",
    remedy: () => SAY_AGAIN,
  },
  failed: {
    code: "provider_failed",
    finding: () => "answered with an error",
    remedy: () => SAY_AGAIN,
  },
  silent: {
    code: "provider_timeout",
    finding: () => "did not answer in time",
    remedy: ({ source }) =>
      source.hasWorked === false
        ? `Check that it is running, and ${lower(change("address", source))}`
        : SAY_AGAIN,
  },
  refused: {
    code: "provider_unreachable",
    finding: () => "cannot be reached: nothing listens there",
    remedy: ({ source }) => `Is it running? ${change("address", source)}`,
  },
  unknown_host: {
    code: "provider_unreachable",
    finding: () => "cannot be reached: no such host is known",
    remedy: ({ source }) => change("address", source),
  },
  no_route: {
    code: "provider_unreachable",
    finding: () => "cannot be reached from this network",
    remedy: ({ source }) => `Check the network. ${change("address", source)}`,
  },
  certificate: {
    code: "provider_unreachable",
    finding: () => "has a certificate that this machine does not trust",
    remedy: () => "Add its authority to the system's certificates or to NODE_EXTRA_CA_CERTS.",
  },
  no_tls: {
    code: "provider_unreachable",
    finding: () => "does not speak HTTPS",
    remedy: ({ source }) => `${change("address", source)} It may have to begin with http://.`,
  },
  broken: {
    code: "provider_unreachable",
    finding: () => "broke the connection",
    remedy: () => SAY_AGAIN,
  },
};

/** What is wrong with an answer that the server sent as a good one. */
export const FAULTS = {
  empty: { finding: "answered nothing", remedy: () => SAY_AGAIN },
  cut: { finding: "stopped before its answer was complete", remedy: () => SAY_AGAIN },
  declined: { finding: "declined to answer", remedy: () => "Ask in another way." },
  error_body: { finding: "answered with an error", remedy: (source) => change("model", source) },
  format: {
    finding: "sent something that cannot be played",
    remedy: (source) => change("model", source),
  },
  silent: { finding: "sent silence", remedy: (source) => change("voice", source) },
  context: {
    finding: "cannot take a conversation of this length",
    remedy: () => "Start a new conversation, or give the model a longer context.",
  },
  too_large: {
    finding: "cannot take a message of this length with this model",
    remedy: () => "Send it in shorter parts.",
  },
} as const satisfies Record<
  string,
  { finding: string; remedy: (source: ProviderSource) => string }
>;

const NOUNS: Readonly<Record<Setting, string>> = {
  address: "the address",
  key: "the API key",
  model: "the model",
  voice: "the voice",
};

/** "the model “llama3.2”". The names are those that Parley sent. */
function the(setting: "model" | "voice", source: ProviderSource): string {
  const name = source[setting];
  return name ? `${NOUNS[setting]} “${name}”` : NOUNS[setting];
}

/** "Check LLM_MODEL." where a variable decides, or "Choose another model on the Models page." */
function change(setting: Setting, { places }: ProviderSource): string {
  const place = places[setting];
  if (isVariable(place)) return `Check ${place}.`;
  if (setting === "model" || setting === "voice") {
    return `Choose another ${setting} ${placed(place)}.`;
  }
  return `Check ${NOUNS[setting]} ${placed(place)}.`;
}

function changeEither([one, other]: [Setting, Setting], { places }: ProviderSource): string {
  const [first, second] = [places[one], places[other]];
  if (isVariable(first) || isVariable(second)) return `Check ${first} and ${second}.`;
  return `Check ${NOUNS[one]} and ${NOUNS[other]} ${placed(first)}.`;
}

function enter(setting: Setting, { places }: ProviderSource): string {
  const place = places[setting];
  return isVariable(place) ? `Set ${place}.` : `Enter it ${placed(place)}.`;
}

function placed(place: string): string {
  return `${place.endsWith("page") ? "on" : "in"} ${place}`;
}

function isVariable(place: string): boolean {
  return /^[A-Z]+_/.test(place);
}

function waitFor({ retryAfterS }: FailureFacts): string {
  if (retryAfterS === undefined) return "Wait a little, then go on.";
  const [amount, unit] = retryAfterS < 90 ? [retryAfterS, "second"] : [retryAfterS / 60, "minute"];
  const count = Math.max(1, Math.ceil(amount));
  return `Try again in ${count} ${unit}${count === 1 ? "" : "s"}.`;
}

function lower(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
