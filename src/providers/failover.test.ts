import { describe, expect, test } from "bun:test";
import { Failover } from "./failover.ts";

/** Providers by name; those in `down` fail. */
function providers(second: string | undefined = "second", avoidMs = 60_000) {
  const asked: string[] = [];
  const down = new Set<string>();
  let switches = 0;
  const failover = new Failover("first", second, () => switches++, avoidMs);
  const request = async (name: string) => {
    asked.push(name);
    if (down.has(name)) throw new Error(`${name} is down`);
    return name;
  };
  return {
    asked,
    down,
    run: () => failover.run(request),
    switches: () => switches,
    failover,
    request,
  };
}

describe("a stage with two providers", () => {
  test("uses the first while it works", async () => {
    const stage = providers();
    expect(await stage.run()).toBe("first");
    expect(stage.switches()).toBe(0);
  });

  test("answers the failed request by the second, and stays with it for a while", async () => {
    const stage = providers();
    stage.down.add("first");
    expect(await stage.run()).toBe("second");
    stage.down.clear();
    expect(await stage.run()).toBe("second");
    expect(stage.asked).toEqual(["first", "second", "second"]);
    expect(stage.switches()).toBe(1);
  });

  test("tries the first again later", async () => {
    const stage = providers("second", 0);
    stage.down.add("first");
    expect(await stage.run()).toBe("second");
    stage.down.clear();
    expect(await stage.run()).toBe("first");
  });

  test("fails as the second does when both are down, and then begins with the first", async () => {
    const stage = providers();
    stage.down.add("first").add("second");
    await expect(stage.run()).rejects.toThrow("second is down");
    await expect(stage.run()).rejects.toThrow("second is down");
    stage.down.clear();
    expect(await stage.run()).toBe("first");
  });

  test("does not ask the second when the person interrupted the request", async () => {
    const stage = providers();
    stage.down.add("first");
    const aborted = stage.failover.run(stage.request, AbortSignal.abort());
    await expect(aborted).rejects.toThrow("first is down");
    expect(stage.asked).toEqual(["first"]);
  });
});

test("a stage with one provider fails as that one does", async () => {
  const asked: string[] = [];
  const failover = new Failover<string>("first", undefined);
  const request = async (name: string): Promise<never> => {
    asked.push(name);
    throw new Error("down");
  };
  await expect(failover.run(request)).rejects.toThrow("down");
  expect(asked).toEqual(["first"]);
});
