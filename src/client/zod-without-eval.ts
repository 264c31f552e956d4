import { config } from "zod";

// The page's Content-Security-Policy forbids `new Function`, which Zod would otherwise use to compile
// schemas, and browsers report even its attempt. This must be a module of its own, imported first,
// because it has to run before any module that defines a schema.
config({ jitless: true });
