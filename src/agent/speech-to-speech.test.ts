import { beforeAll, describe, expect, test } from "bun:test";
import { initializeLogger, llm, voice } from "@livekit/agents";
import { z } from "zod";
import { TcpProxy } from "../../test/e2e/tcp-proxy.ts";
import { eventually } from "../../test/e2e/wait.ts";
import type { Fault } from "../../test/stand-in/faults.ts";
import { type StandIn, startStandIn } from "../../test/stand-in/openai.ts";
import { betaNames, noUsage } from "../../test/stand-in/quirks/realtime-model.ts";
import { reportSignals } from "./agent-session.ts";
import type { AgentSignal } from "./normalize-events.ts";
import { PATIENCE, type RealtimeModelPatience } from "./realtime-model-session.ts";
import { createSpeechToSpeech, greetingInstructions } from "./speech-to-speech.ts";
import { SpeechToSpeechSignals } from "./speech-to-speech-signals.ts";

beforeAll(() => initializeLogger({ pretty: false, level: "silent" }));

/** A conversation in text with a realtime model, without a room. */
class Talk implements AsyncDisposable {
  readonly signals: AgentSignal[] = [];
  readonly session: voice.AgentSession;
  #changed = () => {};

  private constructor(ai: Pick<StandIn, "url">, patience: RealtimeModelPatience | undefined) {
    const order = new SpeechToSpeechSignals((signal) => {
      this.signals.push(signal);
      this.#changed();
    }, 0);
    const provider = { baseURL: ai.url, apiKey: "sk-secret", model: "m", voice: "alloy" };
    this.session = createSpeechToSpeech(
      { ...provider, language: null, keyterms: [] },
      order,
      patience,
    ).session;
    reportSignals(this.session, undefined, (signal) => order.take(signal));
  }

  static async begin(
    ai: Pick<StandIn, "url">,
    tools: llm.ToolContextLike = [],
    patience?: RealtimeModelPatience,
  ): Promise<Talk> {
    const talk = new Talk(ai, patience);
    await talk.session.start({ agent: new voice.Agent({ instructions: "Be brief.", tools }) });
    return talk;
  }

  /** The first signal, past or future, that fits. */
  async signal<K extends AgentSignal["kind"]>(
    kind: K,
    fits: (signal: Extract<AgentSignal, { kind: K }>) => boolean = () => true,
  ): Promise<Extract<AgentSignal, { kind: K }>> {
    for (;;) {
      for (const signal of this.signals) {
        if (signal.kind === kind && fits(signal as never)) return signal as never;
      }
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }

  ask(userInput: string): void {
    this.session.generateReply({ userInput });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.session.close();
  }
}

const WEATHER = llm.tool({
  name: "weather",
  description: "The weather in a city.",
  parameters: z.object({ city: z.string() }),
  execute: async ({ city }) => `sunny in ${city}`,
});

describe("a realtime model", () => {
  test("answers what is typed, greets, and counts tokens", async () => {
    await using ai = await startStandIn();
    await using talk = await Talk.begin(ai);
    ai.reply = (messages) =>
      messages[0]?.content.includes("exactly this") ? "Hello Ada." : "Yes.";
    talk.session.generateReply({ instructions: greetingInstructions("Hello Ada.") });
    await talk.signal("agent_turn", ({ text }) => text === "Hello Ada.");
    talk.ask("Are you there?");
    await talk.signal("agent_turn", ({ text }) => text === "Yes.");
    await talk.signal("tokens", ({ prompt, completion }) => prompt > 0 && completion > 0);
    const asked = await ai.waitFor("llm", ({ text }) => text === "Yes.");
    expect(asked.messages).toEqual([
      { role: "system", content: "Be brief." },
      { role: "assistant", content: "Hello Ada." },
      { role: "user", content: "Are you there?" },
    ]);
  });

  test("calls a tool and answers with what it gave", async () => {
    await using ai = await startStandIn({
      toolCall: (messages, tools) =>
        tools.length > 0 && messages.at(-1)?.role === "user"
          ? { name: "weather", arguments: { city: "Oslo" } }
          : undefined,
      reply: (messages) => `It is ${messages.at(-1)?.content}.`,
    });
    await using talk = await Talk.begin(ai, [WEATHER]);
    talk.ask("How is the weather in Oslo?");
    const { text } = await talk.signal("agent_turn");
    expect(text).toContain("sunny in Oslo");
    const { messages } = await ai.waitFor("llm", (request) => request.text === text);
    expect(messages?.map(({ role }) => role)).toEqual(["system", "user", "assistant", "tool"]);
  });

  test("closes its connection with the session", async () => {
    await using ai = await startStandIn();
    const talk = await Talk.begin(ai);
    talk.ask("Are you there?");
    await talk.signal("agent_turn");
    expect(ai.realtimeConnections).toBe(1);
    await talk[Symbol.asyncDispose]();
    await eventually(
      "the connection is closed",
      async () => ai.realtimeConnections,
      (open) => open === 0,
    );
  });
});

test("the event names of the beta are understood, and a server that counts nothing has no tokens", async () => {
  await using ai = await startStandIn({ reply: () => "Yes." });
  ai.realtimeModelQuirks = [betaNames, noUsage];
  await using talk = await Talk.begin(ai);
  talk.ask("Are you there?");
  await talk.signal("agent_turn", ({ text }) => text === "Yes.");
  expect(talk.signals.filter(({ kind }) => kind === "tokens")).toEqual([]);
});

describe("a failure", () => {
  const cases: [string, Fault, string][] = [
    ["a rate limit", { kind: "status", status: 429 }, "provider_rate_limited"],
    ["a connection that breaks in mid-answer", { kind: "cut" }, "provider_unreachable"],
    ["a connection that breaks before the answer", { kind: "refuse" }, "provider_unreachable"],
  ];
  test.each(cases)(
    "%s is told once, and the next question is answered with the history",
    async (_, fault, code) => {
      await using ai = await startStandIn({ reply: () => "Yes." });
      await using talk = await Talk.begin(ai);
      ai.fail("llm", fault);
      talk.ask("First question.");
      const error = await talk.signal("error");
      expect(error).toMatchObject({ stage: "llm", code, recoverable: true });
      expect(error.message).toContain(new URL(ai.url).host);
      await talk.signal("agent_state", ({ state }) => state === "listening");
      talk.ask("Second question.");
      await talk.signal("agent_turn", ({ text }) => text === "Yes.");
      expect(talk.signals.filter(({ kind }) => kind === "error")).toHaveLength(1);
      const asked = ai.requests.findLast(({ stage }) => stage === "llm");
      expect(asked?.messages?.map(({ content }) => content)).toContain("First question.");
    },
  );

  test("a server that never answers is told, and asked again on a new connection", async () => {
    await using ai = await startStandIn({ reply: () => "Yes." });
    await using talk = await Talk.begin(ai, [], { ...PATIENCE, answerMs: 1000 });
    ai.fail("llm", { kind: "hang" });
    talk.ask("First question.");
    expect(await talk.signal("error")).toMatchObject({ code: "provider_timeout" });
    await talk.signal("agent_state", ({ state }) => state === "listening");
    talk.ask("Second question.");
    await talk.signal("agent_turn", ({ text }) => text === "Yes.");
  });

  test("an answer without words is told", async () => {
    await using ai = await startStandIn({ reply: () => "" });
    await using talk = await Talk.begin(ai);
    talk.ask("Are you there?");
    expect(await talk.signal("error")).toMatchObject({ code: "provider_empty", recoverable: true });
  });

  test("a session that the server ends when it is old goes on unnoticed", async () => {
    await using ai = await startStandIn({ reply: () => "Yes." });
    await using talk = await Talk.begin(ai);
    talk.ask("First question.");
    await talk.signal("agent_turn");
    ai.expireRealtimeModels();
    ai.reply = () => "Still here.";
    talk.ask("Second question.");
    await talk.signal("agent_turn", ({ text }) => text === "Still here.");
    expect(talk.signals.filter(({ kind }) => kind === "error")).toEqual([]);
    const asked = await ai.waitFor("llm", ({ text }) => text === "Still here.");
    expect(asked.messages?.map(({ content }) => content)).toEqual([
      "Be brief.",
      "First question.",
      "Yes.",
      "Second question.",
    ]);
  });
});

describe("a server that is away", () => {
  test("while nobody asks anything is reported to nobody", async () => {
    await using ai = await startStandIn({ reply: () => "Yes." });
    await using way = await TcpProxy.to(ai.url);
    await using talk = await Talk.begin({ url: `${way.url}/v1` });
    talk.ask("First question.");
    await talk.signal("agent_turn");
    way.cut();
    await Bun.sleep(4000);
    way.repair();
    ai.reply = () => "Still here.";
    talk.ask("Second question.");
    await talk.signal("agent_turn", ({ text }) => text === "Still here.");
    expect(talk.signals.filter(({ kind }) => kind === "error")).toEqual([]);
  });

  test("for too long ends the session", async () => {
    const ai = await startStandIn();
    await using talk = await Talk.begin(ai, [], { ...PATIENCE, outageMs: 3000 });
    talk.ask("Are you there?");
    await talk.signal("agent_turn");
    await ai[Symbol.asyncDispose]();
    const error = await talk.signal("error", ({ recoverable }) => !recoverable);
    expect(error.code).toBe("provider_unreachable");
  });

  test("because it refuses the key is reported without the key", async () => {
    await using ai = await startStandIn({ apiKey: "another" });
    await using talk = await Talk.begin(ai);
    const error = await talk.signal("error", ({ recoverable }) => !recoverable);
    expect(error.code).toBe("provider_unauthorized");
    expect(JSON.stringify(talk.signals)).not.toContain("sk-secret");
  });
});
