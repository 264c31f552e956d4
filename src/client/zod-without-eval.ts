import { config } from "zod";

// Zod compiles schemas with `new Function` where it may. The page's Content-Security-Policy forbids
// that, and even the probe for it would be reported. Import this before any schema is made.
config({ jitless: true });
