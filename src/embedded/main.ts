// The entry point of the executable; `src/main.ts` is that of the source tree.
import contents from "parley:contents";
import { runCommand } from "../cli/run.ts";
import { cacheFolder, dataFolder } from "./cache-folder.ts";
import { variantOf } from "./contents.ts";
import { embeddedResources } from "./resources.ts";

const program = {
  command: [process.execPath],
  resources: embeddedResources(contents, cacheFolder(process.env)),
  defaultDataDir: dataFolder(process.env),
  executable: {
    path: process.execPath,
    platform: `${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`,
    variant: variantOf(contents),
  },
  licenses: async () => {
    const packed = await Bun.file(contents.licenses).bytes();
    return new TextDecoder().decode(await Bun.zstdDecompress(packed));
  },
};
process.exit(await runCommand(program, process.argv.slice(2), process.env));
