import type { Context } from "hono";
import type { z } from "zod";
import { Failure } from "../errors.ts";

/**
 * The value as the schema understands it.
 * @throws Failure `invalid` with an entry for every field that is wrong
 */
export function parse<T extends z.ZodType>(schema: T, value: unknown): z.infer<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const errors = result.error.issues.map((issue) => ({
    path: issue.path.join("."),
    message: issue.message,
  }));
  throw new Failure("invalid", errors.map((error) => error.message).join("; "), { errors });
}

/**
 * The request's body as JSON; no body counts as `{}`.
 * @throws Failure `invalid` when it is not JSON
 */
export async function jsonBody(c: Context): Promise<unknown> {
  const text = await c.req.text();
  if (text.trim() === "") return {};
  try {
    return JSON.parse(text);
  } catch {
    throw new Failure("invalid", "The body is not valid JSON.");
  }
}
