import type { RealtimeDialect } from "./dialect.ts";
import { type Controls, type Fault, pause, type Stage } from "./faults.ts";
import { type ChatMessage, type LoggedRequest, now, type RequestLog } from "./log.ts";
import type { Quirk } from "./quirks.ts";
import type { ToolCall } from "./realtime-answers.ts";
import type { RealtimeModelQuirk } from "./realtime-model.ts";
import type { Vocabulary } from "./recognise.ts";

/** What the endpoints share. */
export interface StandInContext {
  readonly log: RequestLog;
  readonly controls: Controls;
  readonly vocabulary: Vocabulary;
  /** Aborts when the stand-in stops. */
  readonly closing: AbortSignal;
  /** Whether `/v1/realtime` exists. */
  realtime: boolean;
  /** In what way `/v1/realtime` deviates from OpenAI's. */
  dialect: RealtimeDialect | undefined;
  reply: (messages: readonly ChatMessage[]) => string;
  /** The only model of the realtime protocol that is known; undefined: any. */
  knownModel: string | undefined;
  /** What the realtime model calls in the place of an answer. */
  toolCall: (messages: readonly ChatMessage[], tools: readonly unknown[]) => ToolCall | undefined;
  realtimeModelQuirks: readonly RealtimeModelQuirk[];
  /** In what ways the server deviates from OpenAI's. */
  quirks: readonly Quirk[];
  /** Speed of the agent's speech. */
  readonly wordsPerMinute: number;
}

/** The body of a successful answer, in the parts in which it is streamed. */
export interface Body {
  type: string;
  parts: readonly (string | Uint8Array)[];
}

/** An error as OpenAI writes it. */
export function failure(status: number, message: string, code: string | null = null): Response {
  const type = status >= 500 ? "server_error" : "invalid_request_error";
  return Response.json({ error: { message, type, param: null, code } }, { status });
}

/** Notes a refusal of the stand-in itself, such as a malformed request, and gives its response. */
export function refuse(
  context: StandInContext,
  entry: LoggedRequest,
  status: number,
  why: string,
): Response {
  context.log.note(entry, { status });
  context.log.end(entry, "failed");
  return failure(status, why);
}

/** Parses a JSON object, or gives undefined. */
export async function jsonObject(request: Request): Promise<Record<string, unknown> | undefined> {
  const value: unknown = await request.json().catch(() => undefined);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  return Object.fromEntries(Object.entries(value));
}

/**
 * Answers a request of a stage with its delay, its pace and the fault that waits for it, and notes
 * in the log what came of it. The work behind `body` is done before, so it adds to the delay.
 */
export async function answer(
  context: StandInContext,
  stage: Stage,
  entry: LoggedRequest,
  request: Request,
  body: Body,
): Promise<Response> {
  const { log, controls } = context;
  const signal = AbortSignal.any([request.signal, context.closing]);
  signal.addEventListener("abort", () => log.end(entry, aborter(context)), { once: true });
  const fault = controls.take(stage);
  if (fault !== undefined) log.note(entry, { fault: fault.kind });
  if (controls.delays[stage] > 0) await pause(controls.delays[stage], signal);
  if (fault?.kind === "status") return statusFault(context, entry, fault);
  if (fault?.kind === "hang") return hang(signal);
  if (fault?.kind === "refuse") return reset(context, entry);
  log.note(entry, { status: 200, firstByteAt: now() });
  const parts = body.parts.map((part) => (typeof part === "string" ? Buffer.from(part) : part));
  const cut = fault?.kind === "cut";
  const stream = streamed(context, entry, signal, {
    parts: cut ? firstHalf(parts) : parts,
    paceMs: controls.pace[stage],
    cut,
  });
  return new Response(stream, { headers: { "content-type": body.type } });
}

function aborter(context: StandInContext): "aborted" | "failed" {
  return context.closing.aborted ? "failed" : "aborted";
}

/** The answer that an injected status gives, worded as OpenAI words it. */
export function statusFault(
  context: StandInContext,
  entry: LoggedRequest,
  fault: Extract<Fault, { kind: "status" }>,
): Response {
  context.log.note(entry, { status: fault.status });
  context.log.end(entry, "failed");
  const { message, code } = wordingOf(fault.status);
  const response = failure(fault.status, message, code);
  if (fault.retryAfterSeconds !== undefined) {
    response.headers.set("retry-after", String(fault.retryAfterSeconds));
  }
  return response;
}

/** Message and code that OpenAI gives with a status. */
export function wordingOf(status: number): { message: string; code: string | null } {
  if (status === 401) return { message: "Incorrect API key provided.", code: "invalid_api_key" };
  if (status === 429) return { message: "Rate limit reached.", code: "rate_limit_exceeded" };
  return { message: `The server had an error (${status}).`, code: null };
}

/** Never answers; ends when the client or the stand-in gives up. */
export async function hang(signal: AbortSignal): Promise<Response> {
  if (!signal.aborted) {
    await new Promise<void>((resolve) => {
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
  }
  return new Response(null, { status: 503 });
}

/** Breaks the connection before any byte of an answer. */
export function reset(context: StandInContext, entry: LoggedRequest): Response {
  context.log.end(entry, "failed");
  return new Response(new ReadableStream({ start: (controller) => controller.error() }));
}

function firstHalf(parts: readonly Uint8Array[]): Uint8Array[] {
  const total = parts.reduce((sum, part) => sum + part.byteLength, 0);
  const half: Uint8Array[] = [];
  let left = Math.floor(total / 2);
  for (const part of parts) {
    if (left <= 0) break;
    half.push(part.subarray(0, left));
    left -= part.byteLength;
  }
  return half;
}

/** Long enough for a client on a busy machine to have read what came before the cut. */
const CUT_AFTER_MS = 50;

function streamed(
  context: StandInContext,
  entry: LoggedRequest,
  signal: AbortSignal,
  plan: { parts: readonly Uint8Array[]; paceMs: number; cut: boolean },
): ReadableStream<Uint8Array> {
  let next = 0;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (next > 0 && plan.paceMs > 0 && !(await pause(plan.paceMs, signal))) {
        return controller.error();
      }
      const part = plan.parts[next++];
      if (part !== undefined) return controller.enqueue(part);
      if (plan.cut) {
        // The half that was written must leave before the connection breaks, or it is lost too.
        await pause(CUT_AFTER_MS, signal);
        context.log.end(entry, "failed");
        return controller.error();
      }
      context.log.end(entry, "done");
      controller.close();
    },
    cancel() {
      context.log.end(entry, aborter(context));
    },
  });
}
