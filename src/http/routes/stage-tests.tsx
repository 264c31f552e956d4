/** @jsxImportSource hono/jsx */
import { Hono } from "hono";
import { z } from "zod";
import { StageTestResult } from "../../../views/fragments/stage-test.tsx";
import { type ModelService, modelId } from "../../domain/catalog.ts";
import { type LocalChoice, providerVoice, type StageTest } from "../../domain/provider.ts";
import { STAGES, type Stage } from "../../domain/stage.ts";
import { Failure } from "../../errors.ts";
import { formFields, optional, parse } from "../request.ts";

export interface StageTestDeps {
  /** Tries a stage, with a recording for speech recognition. @throws Failure, the signal's reason */
  test(stage: Stage, recording: Uint8Array | undefined, signal: AbortSignal): Promise<StageTest>;
  /** Has a speaker of a downloaded voice say a sentence. @throws Failure, the signal's reason */
  listen(voice: LocalChoice, signal: AbortSignal): Promise<StageTest>;
  models: Pick<ModelService, "find">;
}

/** Sentences of the voice that can still be played. */
const MAX_SOUNDS = 4;
const stageName = z.enum(STAGES);
const voiceForm = z.object({ model: modelId, voice: optional(providerVoice) });

/** The Test and Listen buttons of the Models page. */
export function stageTestRoutes({ test, listen, models }: StageTestDeps): Hono {
  const app = new Hono();
  const sounds = new Map<string, NonNullable<StageTest["sound"]>>();
  app.post("/providers/test/:stage", async (c) => {
    const stage = stageName.safeParse(c.req.param("stage"));
    if (!stage.success) throw new Failure("not_found", "There is no such stage.");
    const recording = recordingIn(await formFields(c));
    const bytes = recording && (await recording.bytes());
    const result = await test(stage.data, bytes, c.req.raw.signal);
    const sound = result.sound && keep(sounds, result.sound);
    c.header("Cache-Control", "no-store");
    return c.html(<StageTestResult test={result} sound={sound} />);
  });
  app.post("/providers/listen", async (c) => {
    const { model: id, voice } = parse(voiceForm, await formFields(c));
    const { model } = await models.find(id);
    if (model.stage !== "tts") throw new Failure("invalid", `${model.name} is no voice.`);
    const result = await listen({ id, kind: model.kind, voice }, c.req.raw.signal);
    const sound = result.sound && keep(sounds, result.sound);
    c.header("Cache-Control", "no-store");
    return c.html(<StageTestResult test={result} sound={sound} />);
  });
  app.get("/providers/test/sounds/:id", (c) => {
    const sound = sounds.get(c.req.param("id"));
    if (sound === undefined) throw new Failure("not_found", "This sentence is no longer stored.");
    return c.body(sound.bytes, 200, { "Content-Type": sound.type, "Cache-Control": "no-store" });
  });
  return app;
}

function recordingIn(fields: unknown): File | undefined {
  const file = typeof fields === "object" && fields !== null ? Reflect.get(fields, "audio") : null;
  return file instanceof File && file.size > 0 ? file : undefined;
}

/** Keeps a sentence until newer ones take its place. @returns where to play it */
function keep(sounds: Map<string, NonNullable<StageTest["sound"]>>, sound: StageTest["sound"]) {
  if (sound === undefined) return undefined;
  const id = Bun.randomUUIDv7();
  sounds.set(id, sound);
  for (const old of sounds.keys()) {
    if (sounds.size <= MAX_SOUNDS) break;
    sounds.delete(old);
  }
  return `/providers/test/sounds/${id}`;
}
