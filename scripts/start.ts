// `npm start`: provides what Parley needs and then runs Parley in this process, so that signals and
// the exit code are Parley's.
import { prepare } from "./prepare.ts";

process.env["NODE_ENV"] ??= "production";
await prepare({ dev: false });
await import("../src/main.ts");
