import type { GbnfJsonSchema } from "node-llama-cpp";
import { refusal } from "./openai-http.ts";

type Fields = Record<string, unknown>;

/** Keywords that describe a value and do not limit it. */
const ANNOTATIONS = [
  "$schema",
  "$id",
  "$comment",
  "$defs",
  "definitions",
  "title",
  "description",
  "default",
  "examples",
  "deprecated",
  "readOnly",
  "writeOnly",
];
const KEYWORDS: Readonly<Record<string, readonly string[]>> = {
  string: ["minLength", "maxLength", "format"],
  number: [],
  integer: ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"],
  boolean: [],
  null: [],
  object: ["properties", "required", "additionalProperties", "minProperties", "maxProperties"],
  array: ["items", "prefixItems", "minItems", "maxItems"],
};
const FORMATS = ["date-time", "time", "date"];
/** Whole numbers within bounds are listed; a longer list makes the grammar slow. */
const MAX_LISTED = 256;
/** llama.cpp refuses grammars that repeat something more often. */
const MAX_COUNT = 1000;
/**
 * Each optional property doubles the forms of an object. Further ones are always written, and so are
 * those of a schema that is not strict: its text is part of the prompt, where many forms confuse.
 */
const MAX_OPTIONAL = 4;

const ANY: GbnfJsonSchema = {
  oneOf: [
    { type: ["string", "number", "boolean", "null"] },
    { type: "object", additionalProperties: true },
    { type: "array" },
  ],
};

/**
 * A JSON schema in the form from which node-llama-cpp makes a grammar, so that the model can write
 * nothing else.
 *
 * @param param where the schema is in the request, for errors
 * @param strict whether what a grammar cannot hold is refused; otherwise it is left out
 * @throws Failure `invalid` that names the keyword and its place
 */
export function answerSchema(schema: unknown, param: string, strict = true): GbnfJsonSchema {
  return new SchemaReader(schema, strict).root(param);
}

class SchemaReader {
  readonly #root: unknown;
  readonly #strict: boolean;
  /** By the reference; null: it is being read. */
  readonly #definitions = new Map<string, GbnfJsonSchema | null>();

  constructor(root: unknown, strict: boolean) {
    this.#root = root;
    this.#strict = strict;
  }

  root(param: string): GbnfJsonSchema {
    const schema = this.#read(this.#root, param);
    const definitions = [...this.#definitions].map(([reference, read]) => [
      nameOf(reference),
      read ?? ANY,
    ]);
    if (definitions.length === 0) return schema;
    const $defs: Record<string, GbnfJsonSchema> = Object.fromEntries(definitions);
    if (this.#strict && !canEnd(schema, $defs)) {
      throw refusal("invalid", `${param}: no answer of this form has an end.`, { param });
    }
    return { ...schema, $defs } as GbnfJsonSchema;
  }

  #read(schema: unknown, path: string): GbnfJsonSchema {
    if (schema === true) return ANY;
    if (!isFields(schema)) throw unable(path, "must be a schema");
    const described =
      typeof schema["description"] === "string" ? { description: schema["description"] } : {};
    return { ...this.#readFields(schema, path), ...described } as GbnfJsonSchema;
  }

  #readFields(schema: Fields, path: string): GbnfJsonSchema {
    if ("$ref" in schema) {
      this.#check(schema, path, ["$ref"]);
      return this.#reference(schema["$ref"], `${path}.$ref`);
    }
    for (const name of ["anyOf", "oneOf"]) {
      if (!(name in schema)) continue;
      this.#check(schema, path, [name]);
      return { oneOf: this.#list(schema[name], `${path}.${name}`) };
    }
    if ("allOf" in schema) {
      this.#check(schema, path, ["allOf"]);
      const parts = this.#list(schema["allOf"], `${path}.allOf`);
      const [only] = parts;
      if (only && parts.length === 1) return only;
      return this.#unable(`${path}.allOf`, "of several schemas is not supported", ANY);
    }
    if ("const" in schema) return this.#literals(schema, [schema["const"]], `${path}.const`);
    if ("enum" in schema) return this.#literals(schema, schema["enum"], `${path}.enum`);
    return this.#typed(schema, path);
  }

  #typed(schema: Fields, path: string): GbnfJsonSchema {
    const types = [schema["type"] ?? inferredType(schema) ?? []].flat();
    const unknown = types.find((type) => typeof type !== "string" || !(type in KEYWORDS));
    if (unknown !== undefined) throw unable(`${path}.type`, `has no type ${String(unknown)}`);
    const names = types.filter((type) => typeof type === "string");
    this.#check(schema, path, ["type", ...names.flatMap((name) => KEYWORDS[name] ?? [])]);
    const [first = ANY, ...others] = names.map((name) => this.#ofType(name, schema, path));
    return others.length === 0 ? first : { oneOf: [first, ...others] };
  }

  #ofType(type: string, schema: Fields, path: string): GbnfJsonSchema {
    switch (type) {
      case "string":
        return this.#string(schema, path);
      case "integer":
        return this.#integer(schema, path);
      case "object":
        return this.#object(schema, path);
      case "array":
        return this.#array(schema, path);
      default:
        return { type: type as "number" | "boolean" | "null" };
    }
  }

  #string(schema: Fields, path: string): GbnfJsonSchema {
    const { format } = schema;
    const lengths = this.#counts(schema, "minLength", "maxLength", path);
    if (format === undefined) return { type: "string", ...lengths };
    const isKnown = FORMATS.some((known) => known === format);
    if (!isKnown) return this.#unable(`${path}.format`, "is not supported", { type: "string" });
    if (Object.keys(lengths).length > 0) {
      this.#unable(`${path}.format`, "with a length is not supported", ANY);
    }
    return { type: "string", format: format as "date" };
  }

  #integer(schema: Fields, path: string): GbnfJsonSchema {
    const bound = (name: string) => (typeof schema[name] === "number" ? schema[name] : undefined);
    const least = bound("minimum") ?? above(bound("exclusiveMinimum"));
    const most = bound("maximum") ?? below(bound("exclusiveMaximum"));
    const limits = KEYWORDS["integer"]?.filter((name) => name in schema) ?? [];
    if (limits.length === 0) return { type: "integer" };
    if (least === undefined || most === undefined || most - least >= MAX_LISTED) {
      const problem = `needs a minimum and a maximum, at most ${MAX_LISTED} numbers apart`;
      return this.#unable(`${path}.${limits[0]}`, problem, { type: "integer" });
    }
    const count = Math.max(0, Math.floor(most) - Math.ceil(least) + 1);
    const all = Array.from({ length: count }, (_, index) => Math.ceil(least) + index);
    const step = bound("multipleOf") ?? 1;
    const fitting = all.filter((number) => number % step === 0);
    if (fitting.length === 0) throw unable(`${path}.${limits[0]}`, "leaves no number");
    return { enum: fitting };
  }

  #object(schema: Fields, path: string): GbnfJsonSchema {
    const more = schema["additionalProperties"];
    const counts = this.#counts(schema, "minProperties", "maxProperties", path);
    const required = Array.isArray(schema["required"]) ? schema["required"] : [];
    const properties = isFields(schema["properties"]) ? schema["properties"] : {};
    const missing = required.find((name) => !(String(name) in properties));
    if (missing !== undefined) {
      this.#unable(`${path}.required`, `names ${String(missing)}, which is no property`, ANY);
    }
    const read = Object.entries(properties).map(
      ([name, value]) => [name, this.#read(value, `${path}.properties.${name}`)] as const,
    );
    const extra =
      more === undefined || typeof more === "boolean"
        ? { ...(more !== undefined && { additionalProperties: more }) }
        : { additionalProperties: this.#read(more, `${path}.additionalProperties`) };
    const [limited] = Object.keys(counts);
    if (limited !== undefined && (more ?? false) === false) {
      this.#unable(`${path}.${limited}`, "needs additionalProperties", ANY);
    }
    const optional = read
      .map(([name]) => name)
      .filter((name) => !required.includes(name))
      .slice(0, this.#strict ? MAX_OPTIONAL : 0);
    const forms = subsets(optional).map(
      (left) =>
        ({
          type: "object",
          properties: Object.fromEntries(read.filter(([name]) => !left.includes(name))),
          ...extra,
          ...counts,
        }) as GbnfJsonSchema,
    );
    const [only] = forms;
    return only && forms.length === 1 ? only : { oneOf: forms };
  }

  #array(schema: Fields, path: string): GbnfJsonSchema {
    const { items, prefixItems } = schema;
    const first = prefixItems ?? (Array.isArray(items) ? items : undefined);
    const prefix = first === undefined ? undefined : this.#list(first, `${path}.prefixItems`);
    const counts = this.#counts(schema, "minItems", "maxItems", path);
    const isOpen = items === undefined || Array.isArray(items);
    return {
      type: "array",
      ...(prefix && { prefixItems: prefix }),
      ...(isOpen || items === false ? {} : { items: this.#read(items, `${path}.items`) }),
      ...counts,
      ...(items === false && { maxItems: prefix?.length ?? 0 }),
    } as GbnfJsonSchema;
  }

  /** Two bounds of a number of characters, properties or items. */
  #counts(schema: Fields, least: string, most: string, path: string): Record<string, number> {
    const bounds = [least, most].flatMap((name) => {
      const value = schema[name];
      if (value === undefined) return [];
      if (
        typeof value === "number" &&
        Number.isInteger(value) &&
        value >= 0 &&
        value <= MAX_COUNT
      ) {
        return [[name, value] as const];
      }
      this.#unable(`${path}.${name}`, `must be a whole number up to ${MAX_COUNT}`, ANY);
      return [];
    });
    const [low, high] = bounds;
    if (low && high && low[1] > high[1]) throw unable(`${path}.${most}`, `is less than ${least}`);
    return Object.fromEntries(bounds);
  }

  #literals(schema: Fields, values: unknown, path: string): GbnfJsonSchema {
    this.#check(schema, path.replace(/\.\w+$/, ""), ["type", "const", "enum"]);
    if (!Array.isArray(values) || values.length === 0) throw unable(path, "must be a list");
    const plain = values.filter((value) => value === null || typeof value !== "object");
    if (plain.length < values.length) {
      return this.#unable(path, "may hold texts, numbers, true, false and null only", ANY);
    }
    return { enum: plain };
  }

  #list(schemas: unknown, path: string): GbnfJsonSchema[] {
    if (!Array.isArray(schemas) || schemas.length === 0) throw unable(path, "must be a list");
    return schemas.map((schema, index) => this.#read(schema, `${path}.${index}`));
  }

  #reference(reference: unknown, path: string): GbnfJsonSchema {
    if (typeof reference !== "string" || !/^#($|\/)/.test(reference)) {
      return this.#unable(path, "must point into the schema itself", ANY);
    }
    if (!this.#definitions.has(reference)) {
      const target = at(this.#root, reference);
      if (target === undefined) throw unable(path, `has no target ${reference}`);
      this.#definitions.set(reference, null);
      this.#definitions.set(reference, this.#read(target, path));
    }
    return { $ref: `#/$defs/${nameOf(reference)}` } as GbnfJsonSchema;
  }

  /** Refuses keywords that are not among these. */
  #check(schema: Fields, path: string, known: readonly string[]): void {
    const name = Object.keys(schema).find(
      (keyword) => !known.includes(keyword) && !ANNOTATIONS.includes(keyword),
    );
    if (name !== undefined) this.#unable(`${path}.${name}`, "is not supported here", ANY);
  }

  /** @returns what is used in place of it where schemas are not strict */
  #unable(path: string, problem: string, instead: GbnfJsonSchema): GbnfJsonSchema {
    if (this.#strict) throw unable(path, problem);
    return instead;
  }
}

function unable(path: string, problem: string) {
  return refusal("invalid", `${path} ${problem}.`, { param: path });
}

/** Whether some value of the schema is finite. */
function canEnd(
  schema: GbnfJsonSchema,
  definitions: Readonly<Record<string, GbnfJsonSchema>>,
  open: readonly string[] = [],
): boolean {
  const ends = (one: unknown) => canEnd(one as GbnfJsonSchema, definitions, open);
  const fields: Fields = { ...schema };
  const { $ref, oneOf, properties, prefixItems, items, minItems } = fields;
  if (typeof $ref === "string") {
    const name = $ref.slice("#/$defs/".length);
    const target = definitions[name];
    return !open.includes(name) && !!target && canEnd(target, definitions, [...open, name]);
  }
  if (Array.isArray(oneOf)) return oneOf.some(ends);
  if (isFields(properties)) return Object.values(properties).every(ends);
  if (Array.isArray(prefixItems) && !prefixItems.every(ends)) return false;
  return Number(minItems ?? 0) === 0 || items === undefined || ends(items);
}

function inferredType(schema: Fields): string | undefined {
  const types = ["object", "array", "string", "integer"];
  return types.find((type) => KEYWORDS[type]?.some((keyword) => keyword in schema));
}

/** All subsets of a list, the empty one first. */
function subsets(names: readonly string[]): string[][] {
  return names.reduce<string[][]>(
    (found, name) => found.concat(found.map((one) => one.concat(name))),
    [[]],
  );
}

/** The part of a document that a JSON pointer names (RFC 6901). */
function at(document: unknown, reference: string): unknown {
  return reference
    .split("/")
    .slice(1)
    .map((part) => decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~"))
    .reduce<unknown>((value, part) => (isFields(value) ? value[part] : undefined), document);
}

/** The library accepts references to names in `$defs` only. */
function nameOf(reference: string): string {
  return reference === "#" ? "root" : reference.replace(/^#\//, "").replaceAll("/", "-");
}

function above(bound: number | undefined): number | undefined {
  return bound === undefined ? undefined : Math.floor(bound) + 1;
}

function below(bound: number | undefined): number | undefined {
  return bound === undefined ? undefined : Math.ceil(bound) - 1;
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
