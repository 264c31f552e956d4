// A process with an engine of its own, to be killed: tells the engine's process id, and waits.
import { realEngine } from "../engine.ts";

const engine = await realEngine();
await engine.ready();
console.log(engine.pid);
