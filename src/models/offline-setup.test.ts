import { expect, test } from "bun:test";
import { memoryLogger } from "../../test/event-log.ts";
import { tinyModel } from "../../test/model-server.ts";
import type { ListedModel, ModelService, ModelState } from "../domain/catalog.ts";
import type { StageOverview } from "../domain/provider.ts";
import type { Stage } from "../domain/stage.ts";
import { RecommendedSetup } from "./offline-setup.ts";

/** Models whose states a test sets, and stages that record which models they use. */
function open(fixed: Stage[] = []) {
  const states = new Map<string, ModelState>();
  const listeners = new Set<() => void>();
  const used: string[] = [];
  const cancelled: string[] = [];
  const entry = (id: string, stage: Stage, recommended = true): ListedModel => ({
    model: tinyModel("http://a", {}, { id, stage, kind: `${stage}-kind` }),
    state: states.get(id) ?? { state: "absent", kept: 0 },
    recommended,
  });
  const list = async () => [
    entry("ear", "stt"),
    entry("brain", "llm"),
    entry("mouth", "tts"),
    entry("other", "llm", false),
  ];
  const models: ModelService = {
    folder: "/m",
    list,
    warning: async () => undefined,
    find: async (id) => (await list()).find(({ model }) => model.id === id) as ListedModel,
    download: async (ids) => {
      for (const id of ids) states.set(id, { state: "waiting" });
    },
    cancel: (id) => void cancelled.push(id),
    remove: async () => {},
    subscribe: (listener) => {
      listeners.add(listener);
      return { [Symbol.dispose]: () => listeners.delete(listener) };
    },
  };
  const overview = (["stt", "llm", "tts"] as const).map(
    (stage) => ({ stage, fixedBy: fixed.includes(stage) ? "X" : undefined }) as StageOverview,
  );
  const setup = new RecommendedSetup({
    models,
    providers: {
      overview: () => overview,
      useLocal: (stage, { id, kind }) => void used.push(`${stage} ${id} ${kind}`),
    },
    logger: memoryLogger(),
  });
  const come = async (id: string, state: ModelState = { state: "present" }) => {
    states.set(id, state);
    for (const listener of listeners) listener();
    await Bun.sleep(0);
  };
  return { setup, used, cancelled, come, listeners };
}

test("the stages use the models once all are present, not sooner", async () => {
  const { setup, used, come, listeners } = open();
  expect((await setup.plan()).map(({ model }) => model.id)).toEqual(["ear", "brain", "mouth"]);
  expect(setup.underWay).toBe(false);
  let notifications = 0;
  using _subscription = setup.subscribe(() => {
    notifications += 1;
  });
  await setup.begin();
  expect({ underWay: setup.underWay, notifications }).toEqual({ underWay: true, notifications: 1 });
  await come("ear");
  await come("brain", { state: "failed", message: "404" });
  await come("mouth");
  expect({ used, underWay: setup.underWay }).toEqual({ used: [], underWay: true });
  await come("brain");
  expect(used).toEqual(["stt ear stt-kind", "llm brain llm-kind", "tts mouth tts-kind"]);
  expect({ underWay: setup.underWay, notifications }).toEqual({
    underWay: false,
    notifications: 2,
  });
  await come("ear");
  expect(used).toHaveLength(3);
  setup[Symbol.dispose]();
  expect(listeners.size).toBe(0);
});

test("stages that the environment decides get no model", async () => {
  const { setup, used, come } = open(["stt", "tts"]);
  await setup.begin();
  await come("brain");
  expect(used).toEqual(["llm brain llm-kind"]);
});

test("cancelling stops the downloads, and no model is used later", async () => {
  const { setup, used, cancelled, come } = open(["stt", "tts"]);
  await setup.begin();
  setup.cancel();
  expect(cancelled).toEqual(["brain"]);
  await come("brain");
  expect({ used, underWay: setup.underWay }).toEqual({ used: [], underWay: false });
});
