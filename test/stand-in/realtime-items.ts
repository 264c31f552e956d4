import type { ChatMessage } from "./log.ts";
import { field, parseObject } from "./realtime.ts";

/** An entry of a conversation with a realtime model. */
export interface Item {
  id: string;
  message: ChatMessage;
  /** Length of the voice, for what the model said. */
  audioMs: number;
}

/** The conversation as a realtime model keeps it. */
export class RealtimeItems {
  readonly #items: Item[] = [];

  /** The messages as a language model would get them. */
  get messages(): ChatMessage[] {
    return this.#items.map(({ message }) => ({ ...message }));
  }

  /** The id of the newest item. */
  get lastId(): string | null {
    return this.#items.at(-1)?.id ?? null;
  }

  add(id: string, message: ChatMessage, audioMs = 0): void {
    this.#items.push({ id, message, audioMs });
  }

  /** Adds an item as a client sends it; answers it. */
  create(sent: unknown): Record<string, unknown> {
    const item = parseObject(JSON.stringify(sent)) ?? {};
    const isOutput = item["type"] === "function_call_output";
    const role = isOutput ? "tool" : String(item["role"] ?? "assistant");
    const content = isOutput ? String(item["output"]) : textOf(item["content"]);
    this.add(String(item["id"]), { role, content });
    return item;
  }

  /** @returns whether it was there */
  delete(itemId: string): boolean {
    const at = this.#items.findIndex(({ id }) => id === itemId);
    if (at >= 0) this.#items.splice(at, 1);
    return at >= 0;
  }

  /** Forgets what was not heard of an answer; answers what is left, or undefined if it cannot. */
  truncate(itemId: string, audioEndMs: number): string | undefined {
    const item = this.#items.find(({ id }) => id === itemId);
    if (item === undefined || audioEndMs > item.audioMs) return undefined;
    const words = item.message.content.split(" ");
    const heard = Math.round((words.length * audioEndMs) / item.audioMs);
    item.message.content = words.slice(0, heard).join(" ");
    return item.message.content;
  }
}

function textOf(content: unknown): string {
  const parts = Array.isArray(content) ? (content as unknown[]) : [];
  return parts.map((part) => String(field(part, "text") ?? "")).join("\n");
}
