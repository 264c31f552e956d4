import type { LocalAudioTrack } from "livekit-client";
import type { TranscriptData } from "../domain/transcript.ts";
import type { StartRequest } from "./api.ts";
import type { Call, CallListener } from "./call.ts";
import type { Conversation } from "./conversation.ts";

/** What a person filled in. */
export interface StartForm extends StartRequest {
  name: string;
}

/** What a `Controller` needs of the page and the browser. */
export interface ControllerDeps {
  liveKitUrl: string;
  socketUrl: (sessionId: string) => string;
  makeCall: (listener: CallListener) => Call;
  openMicrophone: () => Promise<LocalAudioTrack>;
  onState: (state: Conversation) => void;
  onTranscript: (data: TranscriptData, recent: boolean) => void;
  /** A conversation begins: the last one's transcript goes. */
  onBegin: () => void;
  /** The microphone in use, or undefined once it was let go of. */
  onMicrophone: (track: LocalAudioTrack | undefined) => void;
  /** For tests. */
  agentGrace?: number;
}
