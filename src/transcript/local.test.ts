import { channelLayerContract } from "./channel-layer.contract.ts";
import { LocalChannelLayer } from "./local.ts";
import { MemoryLog, memoryLogger } from "./test-log.ts";

channelLayerContract("LocalChannelLayer", async () => {
  const log = new MemoryLog();
  const layer = new LocalChannelLayer({ log, logger: memoryLogger() });
  return { layer, log, [Symbol.asyncDispose]: () => layer[Symbol.asyncDispose]() };
});
