import { expect, test } from "bun:test";
import { failureOf } from "../../test/failure-of.ts";
import { chatHistory } from "./chat-history.ts";
import { chatRequest } from "./chat-request.ts";

function historyOf(messages: unknown[]) {
  return chatHistory(chatRequest.parse({ model: "m", messages }).messages);
}

test("consecutive messages of one role become one item", () => {
  expect(
    historyOf([
      { role: "system", content: "Be brief." },
      { role: "user", content: [{ type: "text", text: "Hello." }] },
      { role: "user", content: "Are you there?" },
      { role: "assistant", content: "Yes." },
      { role: "assistant", content: "What is it?" },
    ]),
  ).toEqual([
    { type: "system", text: "Be brief." },
    { type: "user", text: "Hello.\nAre you there?" },
    { type: "model", response: ["Yes.", "What is it?"] },
  ]);
});

test("a tool's result is stored with its call", () => {
  const call = (id: string, city: string) => ({
    id,
    type: "function",
    function: { name: "weather", arguments: JSON.stringify({ city }) },
  });
  const completed = (city: string, result: unknown) => ({
    type: "functionCall" as const,
    name: "weather",
    params: { city },
    result,
  });
  expect(
    historyOf([
      { role: "user", content: "The weather?" },
      { role: "assistant", content: null, tool_calls: [call("1", "Rome"), call("2", "Oslo")] },
      { role: "tool", tool_call_id: "2", content: '{"degrees":3}' },
      { role: "tool", tool_call_id: "1", content: "sunny" },
    ]),
  ).toEqual([
    { type: "user", text: "The weather?" },
    { type: "model", response: [completed("Rome", "sunny"), completed("Oslo", { degrees: 3 })] },
  ]);
});

test("an image is refused, and the error names the field", () => {
  const picture = { type: "image_url", image_url: { url: "data:" } };
  const result = chatRequest.safeParse({
    model: "m",
    messages: [{ role: "user", content: [picture] }],
  });
  expect(result.error?.issues[0]).toMatchObject({ path: ["messages", 0, "content"] });
  expect(result.error?.issues[0]?.message).toContain("type text");
});

test("a result goes to the newest call of its id that waits, and one without a call is refused", async () => {
  const turn = (city: string) => [
    { role: "user", content: `The weather in ${city}?` },
    {
      role: "assistant",
      tool_calls: [
        { id: "call_0", function: { name: "weather", arguments: `{"city":"${city}"}` } },
      ],
    },
    { role: "tool", tool_call_id: "call_0", content: `sunny in ${city}` },
  ];
  const calls = historyOf([...turn("Rome"), ...turn("Oslo")]).flatMap((item) =>
    item.type === "model" ? item.response : [],
  );
  expect(calls).toMatchObject([
    { params: { city: "Rome" }, result: "sunny in Rome" },
    { params: { city: "Oslo" }, result: "sunny in Oslo" },
  ]);
  const twice = [...turn("Rome"), { role: "tool", tool_call_id: "call_0", content: "again" }];
  const failure = await failureOf(Promise.try(() => historyOf(twice)));
  expect(failure).toMatchObject({ kind: "invalid", details: { param: "messages" } });
});
