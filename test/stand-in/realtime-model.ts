import { pcmOf } from "../../src/lib/wav.ts";
import type { StandInContext } from "./answer.ts";
import { EnergyVad } from "./energy-vad.ts";
import { pause } from "./faults.ts";
import { field, numberIn, parseObject, type Wire } from "./realtime.ts";
import { type AnswerSettings, RealtimeAnswers } from "./realtime-answers.ts";
import { RealtimeItems } from "./realtime-items.ts";
import type { Recogniser } from "./recognise.ts";

const RATE = 24_000;

/** An event that leaves for the client. */
export type OutgoingEvent = Record<string, unknown> & { type: string };

/** One way in which a real server of the protocol deviates; it changes what leaves. */
export interface RealtimeModelQuirk {
  name: string;
  /** The public report that it comes from. */
  report: string;
  /** The events to send in the place of one. */
  send(event: OutgoingEvent): OutgoingEvent[];
}

/**
 * One connection of OpenAI's realtime protocol in which the model hears and speaks: audio by
 * `input_audio_buffer.append`, turns by `server_vad`, answers with words and voice that can be
 * cancelled and truncated, and function calls.
 * (https://platform.openai.com/docs/guides/realtime-conversations)
 */
export class RealtimeModelSession {
  readonly #context: StandInContext;
  readonly #wire: Wire;
  readonly #model: string;
  readonly #ended = new AbortController();
  readonly #signal: AbortSignal;
  #vad: EnergyVad | undefined;
  readonly #settings: AnswerSettings = { instructions: "", voice: "alloy", tools: [] };
  #transcription: Record<string, unknown> | undefined;
  readonly #items = new RealtimeItems();
  readonly #answers: RealtimeAnswers;
  #count = 0;
  #recogniser: Recogniser;

  constructor(context: StandInContext, wire: Wire, model: string) {
    this.#context = context;
    this.#wire = wire;
    this.#model = model;
    this.#signal = AbortSignal.any([this.#ended.signal, context.closing]);
    this.#recogniser = context.vocabulary.listen(RATE);
    this.#answers = new RealtimeAnswers({
      ...{ context, model, items: this.#items, settings: this.#settings, signal: this.#signal },
      newId: () => this.#newId(),
      send: (type, data) => this.#send(type, data),
      terminate: () => wire.terminate(),
    });
    this.#send("session.created", { session: { type: "realtime", model } });
  }

  /** Takes a message of the client; one that is unknown gets an `error` event. */
  receive(text: string): void {
    const event = parseObject(text) ?? {};
    switch (event["type"]) {
      case "session.update":
        this.#update(event["session"]);
        return;
      case "input_audio_buffer.append":
        this.#append(pcmOf(Buffer.from(String(event["audio"]), "base64")));
        return;
      case "input_audio_buffer.clear":
        this.#recogniser = this.#context.vocabulary.listen(RATE);
        this.#send("input_audio_buffer.cleared", {});
        return;
      case "conversation.item.create":
        this.#create(event);
        return;
      case "conversation.item.delete":
        this.#delete(String(event["item_id"]));
        return;
      case "conversation.item.truncate":
        this.#truncate(String(event["item_id"]), numberIn(event, "audio_end_ms", 0));
        return;
      case "response.create":
        void this.#answers.respond(event["response"]);
        return;
      case "response.cancel":
        this.#answers.cancel();
        return;
      default:
        this.#error(`Unknown event ${String(event["type"])}.`, "invalid_event");
    }
  }

  /** Announces the end of the session, as OpenAI does after 60 minutes, and closes. */
  expire(): void {
    this.#error("Your session hit the maximum duration of 60 minutes.", "session_expired");
    this.#wire.terminate();
  }

  /** Ends what is under way; the connection is gone. */
  close(): void {
    this.#ended.abort();
  }

  #update(session: unknown): void {
    const model = this.#context.knownModel;
    if (model !== undefined && this.#model !== model) {
      this.#error(`The model ${this.#model} does not exist.`, "model_not_found");
      return;
    }
    const instructions = field(session, "instructions");
    if (typeof instructions === "string") this.#settings.instructions = instructions;
    const tools = field(session, "tools");
    if (Array.isArray(tools)) this.#settings.tools = tools;
    const audio = field(session, "audio");
    const voice = field(field(audio, "output"), "voice");
    if (typeof voice === "string") this.#settings.voice = voice;
    const input = field(audio, "input");
    const transcription = parseObject(JSON.stringify(field(input, "transcription") ?? null));
    if (transcription) this.#transcription = transcription;
    const detection = field(input, "turn_detection");
    if (detection !== undefined && detection !== null) {
      this.#vad = new EnergyVad(RATE, numberIn(detection, "silence_duration_ms", 500));
    }
    this.#send("session.updated", { session });
  }

  #append(pcm: Int16Array): void {
    this.#recogniser.push(pcm);
    for (const { kind, atMs } of this.#vad?.push(pcm) ?? []) {
      if (kind === "started") {
        this.#send("input_audio_buffer.speech_started", { audio_start_ms: atMs });
        this.#answers.cancel();
      } else {
        this.#send("input_audio_buffer.speech_stopped", { audio_end_ms: atMs });
        void this.#userTurn();
      }
    }
  }

  /** What was heard becomes a turn, is answered at once, and written down meanwhile. */
  async #userTurn(): Promise<void> {
    const text = this.#recogniser.finish().join(" ");
    this.#recogniser = this.#context.vocabulary.listen(RATE);
    const previous_item_id = this.#items.lastId;
    const id = this.#newId();
    this.#items.add(id, { role: "user", content: text });
    this.#send("input_audio_buffer.committed", { item_id: id, previous_item_id });
    const content = [{ type: "input_audio", transcript: null }];
    const item = { id, type: "message", role: "user", status: "completed", content };
    this.#send("conversation.item.added", { previous_item_id, item });
    void this.#answers.respond(undefined);
    await this.#transcribe(id, text);
  }

  async #transcribe(item_id: string, text: string): Promise<void> {
    if (this.#transcription === undefined) return;
    const { log, controls } = this.#context;
    const entry = log.begin("stt", "realtime");
    log.note(entry, { text, model: String(this.#transcription["model"] ?? "") });
    const fault = controls.take("stt");
    if (controls.delays.stt > 0) await pause(controls.delays.stt, this.#signal);
    const prefix = "conversation.item.input_audio_transcription";
    const at = { item_id, content_index: 0 };
    if (fault !== undefined) {
      log.end(entry, "failed");
      const error = { type: "transcription_error", code: "audio_unintelligible", message: "No." };
      this.#send(`${prefix}.failed`, { ...at, error });
      return;
    }
    for (const delta of text.match(/\s*\S+/g) ?? [])
      this.#send(`${prefix}.delta`, { ...at, delta });
    this.#send(`${prefix}.completed`, { ...at, transcript: text });
    log.end(entry, "done");
  }

  #create(event: Record<string, unknown>): void {
    const previous_item_id = this.#items.lastId;
    const item = this.#items.create(event["item"]);
    this.#send("conversation.item.added", { previous_item_id, item });
  }

  #delete(item_id: string): void {
    if (this.#items.delete(item_id)) this.#send("conversation.item.deleted", { item_id });
    else this.#error(`Item ${item_id} does not exist.`, "item_delete_invalid_item_id");
  }

  #truncate(item_id: string, audio_end_ms: number): void {
    const truncatedTo = this.#items.truncate(item_id, audio_end_ms);
    if (truncatedTo === undefined) {
      this.#error("Audio content is shorter.", "invalid_value");
      return;
    }
    const { log } = this.#context;
    log.note(log.begin("llm", "realtime"), { truncatedTo, outcome: "done" });
    this.#send("conversation.item.truncated", { item_id, content_index: 0, audio_end_ms });
  }

  #newId(): string {
    return `item_${++this.#count}`;
  }

  #error(message: string, code: string): void {
    this.#send("error", { error: { type: "invalid_request_error", code, message, param: null } });
  }

  #send(type: string, data: Record<string, unknown>): void {
    if (this.#signal.aborted) return;
    const event: OutgoingEvent = { type, event_id: `event_${++this.#count}`, ...data };
    const leaving = this.#context.realtimeModelQuirks.reduce(
      (events, quirk) => events.flatMap((one) => quirk.send(one)),
      [event],
    );
    for (const one of leaving) this.#wire.send(JSON.stringify(one));
  }
}
