import { pcmBytes } from "../../src/lib/wav.ts";
import { type StandInContext, wordingOf } from "./answer.ts";
import { pause } from "./faults.ts";
import { type LoggedRequest, now } from "./log.ts";
import { field } from "./realtime.ts";
import type { RealtimeItems } from "./realtime-items.ts";
import { agentSpeech } from "./speech.ts";

const RATE = 24_000;
/** 100 ms of speech. */
const PART_SAMPLES = RATE / 10;

/** What a model calls in the place of an answer. */
export interface ToolCall {
  name: string;
  arguments: Record<string, unknown>;
}

/** What the client has set for answers. */
export interface AnswerSettings {
  instructions: string;
  voice: string;
  tools: unknown[];
}

interface RealtimeAnswersOptions {
  context: StandInContext;
  model: string;
  items: RealtimeItems;
  settings: AnswerSettings;
  /** Aborts with the connection. */
  signal: AbortSignal;
  newId(): string;
  send(type: string, data: Record<string, unknown>): void;
  /** Breaks the connection. */
  terminate(): void;
}

/** An answer that is being given. */
interface Response {
  id: string;
  entry: LoggedRequest;
  cancel: AbortController;
}

/** The answers of a realtime model, one at a time: words with voice, or a call of a function. */
export class RealtimeAnswers {
  readonly #options: RealtimeAnswersOptions;
  #response: Response | undefined;

  constructor(options: RealtimeAnswersOptions) {
    this.#options = options;
  }

  /** Stops the answer that is being given, if there is one. */
  cancel(): void {
    this.#response?.cancel.abort();
  }

  /** Answers, as `response.create` asks; undefined: after a turn of the user. */
  async respond(request: unknown): Promise<void> {
    const { items, settings, model, send, context, terminate, newId } = this.#options;
    const { log, controls } = context;
    if (this.#response !== undefined) {
      const code = "conversation_already_has_active_response";
      const message = "Conversation already has an active response.";
      send("error", { error: { type: "invalid_request_error", code, message, param: null } });
      return;
    }
    const own = field(request, "instructions");
    const instructions = typeof own === "string" ? own : settings.instructions;
    const entry = log.begin("llm", "realtime");
    const messages = [{ role: "system", content: instructions }, ...items.messages];
    log.note(entry, { model, voice: settings.voice, messages, streaming: true });
    const response = { id: newId(), entry, cancel: new AbortController() };
    this.#response = response;
    const signal = AbortSignal.any([this.#options.signal, response.cancel.signal]);
    signal.addEventListener("abort", () => log.end(entry, "aborted"), { once: true });
    const fault = controls.take("llm");
    if (fault !== undefined) log.note(entry, { fault: fault.kind });
    if (controls.delays.llm > 0) await pause(controls.delays.llm, signal);
    if (fault?.kind === "hang") return;
    if (fault?.kind === "refuse") {
      terminate();
      return;
    }
    const metadata = field(request, "metadata") ?? null;
    send("response.created", {
      response: { id: response.id, status: "in_progress", metadata },
    });
    if (fault?.kind === "status") {
      log.end(entry, "failed");
      const { code, message } = wordingOf(fault.status);
      this.#done(response, "failed", [], { type: "failed", error: { code, message } });
      return;
    }
    const call = context.toolCall(messages, settings.tools);
    if (call) {
      this.#call(response, call);
      return;
    }
    const text = context.reply(messages);
    await this.#speak(response, text, signal, fault?.kind === "cut");
  }

  #call(response: Response, { name, arguments: values }: ToolCall): void {
    const { items, send, context, newId } = this.#options;
    const id = newId();
    const content = JSON.stringify(values);
    const item = {
      ...{ id, type: "function_call", status: "completed" },
      ...{ call_id: `call_${id}`, name, arguments: content },
    };
    const previous_item_id = items.lastId;
    items.add(id, { role: "assistant", content });
    const at = { response_id: response.id, output_index: 0 };
    send("response.output_item.added", { ...at, item: { ...item, arguments: "" } });
    send("conversation.item.added", { previous_item_id, item });
    send("response.output_item.done", { ...at, item });
    context.log.end(response.entry, "done");
    this.#done(response, "completed", [item]);
  }

  async #speak(response: Response, text: string, signal: AbortSignal, cut: boolean): Promise<void> {
    const { items, settings, send, context, terminate, newId } = this.#options;
    const { log, controls, wordsPerMinute } = context;
    log.note(response.entry, { text });
    if (text === "") {
      log.end(response.entry, "done");
      this.#done(response, "completed", []);
      return;
    }
    const pcm = agentSpeech(text, settings.voice, wordsPerMinute);
    const previous_item_id = items.lastId;
    const audioMs = (pcm.length / RATE) * 1000;
    const id = newId();
    items.add(id, { role: "assistant", content: text }, audioMs);
    const item = { id, type: "message", role: "assistant", status: "in_progress", content: [] };
    const at = { response_id: response.id, item_id: id, output_index: 0, content_index: 0 };
    send("response.output_item.added", { ...at, item });
    send("conversation.item.added", { previous_item_id, item });
    send("response.content_part.added", { ...at, part: { type: "audio", transcript: "" } });
    for (const delta of text.match(/\s*\S+/g) ?? []) {
      send("response.output_audio_transcript.delta", { ...at, delta });
    }
    log.note(response.entry, { firstByteAt: now(), audioMs });
    for (let from = 0; from < pcm.length; from += PART_SAMPLES) {
      if (cut && from > pcm.length / 2) {
        terminate();
        return;
      }
      if (from > 0 && controls.pace.tts > 0) await pause(controls.pace.tts, signal);
      if (signal.aborted) {
        this.#done(response, "cancelled", [item]);
        return;
      }
      const delta = Buffer.from(pcmBytes(pcm.subarray(from, from + PART_SAMPLES)));
      send("response.output_audio.delta", { ...at, delta: delta.toString("base64") });
    }
    send("response.output_audio.done", at);
    send("response.output_audio_transcript.done", { ...at, transcript: text });
    send("response.output_item.done", { ...at, item: { ...item, status: "completed" } });
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
    this.#options.send("response.done", { response: done });
  }
}
