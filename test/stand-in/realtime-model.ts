import { pcmBytes, pcmOf } from "../../src/lib/wav.ts";
import { type StandInContext, wordingOf } from "./answer.ts";
import { EnergyVad } from "./energy-vad.ts";
import { pause } from "./faults.ts";
import { type ChatMessage, type LoggedRequest, now } from "./log.ts";
import { field, numberIn, parseObject, type Wire } from "./realtime.ts";
import type { Recogniser } from "./recognise.ts";
import { agentSpeech } from "./speech.ts";

const RATE = 24_000;
/** 100 ms of speech. */
const PART_SAMPLES = RATE / 10;

/** What a model calls in the place of an answer. */
export interface ToolCall {
  name: string;
  arguments: Record<string, unknown>;
}

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

/** An entry of the conversation. */
interface Item {
  id: string;
  message: ChatMessage;
  /** Length of the voice, for what the model said. */
  audioMs: number;
}

/** An answer that is being given. */
interface Response {
  id: string;
  entry: LoggedRequest;
  cancel: AbortController;
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
  #instructions = "";
  #voice = "alloy";
  #tools: unknown[] = [];
  #transcription: Record<string, unknown> | undefined;
  readonly #items: Item[] = [];
  #response: Response | undefined;
  #count = 0;
  #recogniser: Recogniser;

  constructor(context: StandInContext, wire: Wire, model: string) {
    this.#context = context;
    this.#wire = wire;
    this.#model = model;
    this.#signal = AbortSignal.any([this.#ended.signal, context.closing]);
    this.#recogniser = context.vocabulary.listen(RATE);
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
        void this.#respond(event["response"]);
        return;
      case "response.cancel":
        this.#cancel();
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
    if (typeof instructions === "string") this.#instructions = instructions;
    const tools = field(session, "tools");
    if (Array.isArray(tools)) this.#tools = tools;
    const audio = field(session, "audio");
    const voice = field(field(audio, "output"), "voice");
    if (typeof voice === "string") this.#voice = voice;
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
        this.#cancel();
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
    const previous_item_id = this.#items.at(-1)?.id ?? null;
    const { id } = this.#add({ role: "user", content: text });
    this.#send("input_audio_buffer.committed", { item_id: id, previous_item_id });
    const content = [{ type: "input_audio", transcript: null }];
    const item = { id, type: "message", role: "user", status: "completed", content };
    this.#send("conversation.item.added", { previous_item_id, item });
    void this.#respond(undefined);
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
    const item = parseObject(JSON.stringify(event["item"])) ?? {};
    const isOutput = item["type"] === "function_call_output";
    const role = isOutput ? "tool" : String(item["role"] ?? "assistant");
    const content = isOutput ? String(item["output"]) : textOf(item["content"]);
    const id = String(item["id"]);
    const previous_item_id = this.#items.at(-1)?.id ?? null;
    this.#items.push({ id, message: { role, content }, audioMs: 0 });
    this.#send("conversation.item.added", { previous_item_id, item });
  }

  #delete(item_id: string): void {
    const at = this.#items.findIndex(({ id }) => id === item_id);
    if (at < 0) {
      this.#error(`Item ${item_id} does not exist.`, "item_delete_invalid_item_id");
      return;
    }
    this.#items.splice(at, 1);
    this.#send("conversation.item.deleted", { item_id });
  }

  /** The model forgets what was not heard of an answer. */
  #truncate(item_id: string, audio_end_ms: number): void {
    const item = this.#items.find(({ id }) => id === item_id);
    if (item === undefined || audio_end_ms > item.audioMs) {
      this.#error("Audio content is shorter.", "invalid_value");
      return;
    }
    const words = item.message.content.split(" ");
    const heard = Math.round((words.length * audio_end_ms) / item.audioMs);
    item.message.content = words.slice(0, heard).join(" ");
    this.#context.log.note(this.#context.log.begin("llm", "realtime"), {
      truncatedTo: item.message.content,
      outcome: "done",
    });
    this.#send("conversation.item.truncated", { item_id, content_index: 0, audio_end_ms });
  }

  #cancel(): void {
    if (this.#response === undefined) return;
    this.#response.cancel.abort();
  }

  async #respond(request: unknown): Promise<void> {
    const { log, controls } = this.#context;
    if (this.#response !== undefined) {
      const code = "conversation_already_has_active_response";
      this.#error("Conversation already has an active response.", code);
      return;
    }
    const own = field(request, "instructions");
    const instructions = typeof own === "string" ? own : this.#instructions;
    const entry = log.begin("llm", "realtime");
    const messages = [
      { role: "system", content: instructions },
      ...this.#items.map(({ message }) => ({ ...message })),
    ];
    log.note(entry, { model: this.#model, voice: this.#voice, messages, streaming: true });
    const response = { id: `resp_${++this.#count}`, entry, cancel: new AbortController() };
    this.#response = response;
    const signal = AbortSignal.any([this.#signal, response.cancel.signal]);
    signal.addEventListener("abort", () => log.end(entry, "aborted"), { once: true });
    const fault = controls.take("llm");
    if (fault !== undefined) log.note(entry, { fault: fault.kind });
    if (controls.delays.llm > 0) await pause(controls.delays.llm, signal);
    if (fault?.kind === "hang") return;
    if (fault?.kind === "refuse") {
      this.#wire.terminate();
      return;
    }
    const metadata = field(request, "metadata") ?? null;
    this.#send("response.created", {
      response: { id: response.id, status: "in_progress", metadata },
    });
    if (fault?.kind === "status") {
      log.end(entry, "failed");
      const { code, message } = wordingOf(fault.status);
      this.#done(response, "failed", [], { type: "failed", error: { code, message } });
      return;
    }
    const call = this.#context.toolCall(messages, this.#tools);
    if (call) {
      this.#call(response, call);
      return;
    }
    const text = this.#context.reply(messages);
    await this.#speak(response, text, signal, fault?.kind === "cut");
  }

  #call(response: Response, { name, arguments: values }: ToolCall): void {
    const id = `item_${++this.#count}`;
    const content = JSON.stringify(values);
    const item = {
      ...{ id, type: "function_call", status: "completed" },
      ...{ call_id: `call_${this.#count}`, name, arguments: content },
    };
    const previous_item_id = this.#items.at(-1)?.id ?? null;
    this.#items.push({ id, message: { role: "assistant", content }, audioMs: 0 });
    const at = { response_id: response.id, output_index: 0 };
    this.#send("response.output_item.added", { ...at, item: { ...item, arguments: "" } });
    this.#send("conversation.item.added", { previous_item_id, item });
    this.#send("response.output_item.done", { ...at, item });
    this.#context.log.end(response.entry, "done");
    this.#done(response, "completed", [item]);
  }

  async #speak(response: Response, text: string, signal: AbortSignal, cut: boolean): Promise<void> {
    const { log, controls, wordsPerMinute } = this.#context;
    log.note(response.entry, { text });
    if (text === "") {
      log.end(response.entry, "done");
      this.#done(response, "completed", []);
      return;
    }
    const pcm = agentSpeech(text, this.#voice, wordsPerMinute);
    const previous_item_id = this.#items.at(-1)?.id ?? null;
    const added = this.#add({ role: "assistant", content: text });
    added.audioMs = (pcm.length / RATE) * 1000;
    const { id } = added;
    const item = { id, type: "message", role: "assistant", status: "in_progress", content: [] };
    const at = { response_id: response.id, item_id: id, output_index: 0, content_index: 0 };
    this.#send("response.output_item.added", { ...at, item });
    this.#send("conversation.item.added", { previous_item_id, item });
    this.#send("response.content_part.added", { ...at, part: { type: "audio", transcript: "" } });
    for (const delta of text.match(/\s*\S+/g) ?? []) {
      this.#send("response.output_audio_transcript.delta", { ...at, delta });
    }
    log.note(response.entry, { firstByteAt: now(), audioMs: added.audioMs });
    for (let from = 0; from < pcm.length; from += PART_SAMPLES) {
      if (cut && from > pcm.length / 2) {
        this.#wire.terminate();
        return;
      }
      if (from > 0 && controls.pace.tts > 0) await pause(controls.pace.tts, signal);
      if (signal.aborted) {
        this.#done(response, "cancelled", [item]);
        return;
      }
      const delta = Buffer.from(pcmBytes(pcm.subarray(from, from + PART_SAMPLES)));
      this.#send("response.output_audio.delta", { ...at, delta: delta.toString("base64") });
    }
    this.#send("response.output_audio.done", at);
    this.#send("response.output_audio_transcript.done", { ...at, transcript: text });
    this.#send("response.output_item.done", { ...at, item: { ...item, status: "completed" } });
    log.end(response.entry, "done");
    this.#done(response, "completed", [item]);
  }

  #done(
    response: Response,
    status: string,
    output: unknown[],
    status_details: unknown = null,
  ): void {
    if (this.#response === response) this.#response = undefined;
    const words = (text: string) => text.split(/\s+/).filter(Boolean).length;
    const { messages, text } = response.entry;
    const input_tokens = words((messages ?? []).map(({ content }) => content).join(" "));
    const output_tokens = words(text ?? "");
    const usage = { input_tokens, output_tokens, total_tokens: input_tokens + output_tokens };
    const done = { id: response.id, status, status_details, output, usage };
    this.#send("response.done", { response: done });
  }

  #add(message: ChatMessage): Item {
    const item = { id: `item_${++this.#count}`, message, audioMs: 0 };
    this.#items.push(item);
    return item;
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

function textOf(content: unknown): string {
  const parts = Array.isArray(content) ? (content as unknown[]) : [];
  return parts.map((part) => String(field(part, "text") ?? "")).join("\n");
}
