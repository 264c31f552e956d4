import type { Context } from "hono";
import { z } from "zod";
import { canonicalTag } from "../domain/language.ts";
import { Failure } from "../errors.ts";

/**
 * The value as the schema reads it.
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

/** An optional field of a form or body, in which an empty text counts as absent. */
export function optional<T extends z.ZodType>(schema: T) {
  return z.preprocess(
    (value) => (typeof value === "string" && value.trim() === "" ? undefined : value),
    schema.optional(),
  );
}

/**
 * The request's body as JSON; an empty body counts as `{}`.
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

/**
 * The fields of a posted form; a name that occurs several times becomes a list.
 * @throws Failure `invalid` when the body is not a form
 */
export async function formFields(c: Context): Promise<unknown> {
  const type = c.req.header("Content-Type") ?? "";
  if (!/^(application\/x-www-form-urlencoded|multipart\/form-data)\b/.test(type)) {
    throw new Failure("invalid", "Expected a form.");
  }
  return formBody(c, { all: true });
}

/**
 * The body as a form; empty if it is of another type.
 * @throws Failure `invalid` when it cannot be read
 */
export async function formBody(c: Context, options?: { all: boolean }) {
  try {
    return await c.req.parseBody(options);
  } catch (error) {
    throw new Failure("invalid", "The form is malformed.", { cause: error });
  }
}

/** Whether HTMX asks, which wants a fragment. */
export function isHtmx(c: Context): boolean {
  return c.req.header("HX-Request") === "true";
}

/** Whether a browser loads a page. */
export function wantsPage(c: Context): boolean {
  return /^(GET|HEAD)$/.test(c.req.method) && (c.req.header("Accept") ?? "").includes("text/html");
}

/** The language that the reader of a page prefers (RFC 9110, section 12.5.4), if they say one. */
export function readerLanguage(c: Context): string | undefined {
  const choices = (c.req.header("accept-language") ?? "").split(",").map((choice) => {
    const [tag = "", quality = "q=1"] = choice.split(";").map((part) => part.trim());
    return { tag: canonicalTag(tag), quality: Number(quality.replace("q=", "")) };
  });
  const known = choices.filter(({ tag, quality }) => tag !== undefined && quality > 0);
  return known.toSorted((a, b) => b.quality - a.quality)[0]?.tag;
}
