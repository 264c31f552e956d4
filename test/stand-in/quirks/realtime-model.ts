import type { OutgoingEvent, RealtimeModelQuirk } from "../realtime-model.ts";

/** The names that events had before the protocol left its beta. */
const BETA_NAMES: Readonly<Record<string, string>> = {
  "conversation.item.added": "conversation.item.created",
  "response.output_audio.delta": "response.audio.delta",
  "response.output_audio.done": "response.audio.done",
  "response.output_audio_transcript.delta": "response.audio_transcript.delta",
  "response.output_audio_transcript.done": "response.audio_transcript.done",
};

/** Sends events by their old names, as many servers do. */
export const betaNames: RealtimeModelQuirk = {
  name: "names of the beta",
  report: "vllm-project/vllm-omni#7339",
  send: (event) => [{ ...event, type: BETA_NAMES[event.type] ?? event.type }],
};

/** Counts no tokens. */
export const noUsage: RealtimeModelQuirk = {
  name: "no usage",
  report: "livekit/agents#1036",
  send: (event) => [event.type === "response.done" ? withoutUsage(event) : event],
};

function withoutUsage(event: OutgoingEvent): OutgoingEvent {
  const { usage: _, ...response } = event["response"] as Record<string, unknown>;
  return { ...event, response };
}
