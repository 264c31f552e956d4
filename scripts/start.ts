// `npm start`: everything that Parley needs, and then Parley in this process, so that signals and
// the exit code are its own.
import { prepare } from "./prepare.ts";

process.env["NODE_ENV"] ??= "production";
await prepare({ dev: false });
await import("../src/main.ts");
