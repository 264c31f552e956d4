// A process with an engine of its own, to be killed in the middle of an answer: tells the engine's
// process id when the answer has begun.
import OpenAI from "openai";
import { testModels } from "../../scripts/test-models.ts";
import { realEngine } from "../engine.ts";

const engine = await realEngine();
await engine.ready(["llm"]);
const { baseURL, apiKey } = engine.serverOf("llm");
const stream = await new OpenAI({ baseURL, apiKey }).chat.completions.create({
  model: (await testModels()).llm.id,
  messages: [{ role: "user", content: "Tell me a long story." }],
  max_tokens: 3000,
  temperature: 1,
  stream: true,
});
let begun = false;
for await (const chunk of stream) {
  if (!begun && chunk.choices[0]?.delta.content) console.log(engine.pidOf("llm"));
  begun ||= Boolean(chunk.choices[0]?.delta.content);
}
