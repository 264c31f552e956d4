import { describe, expect, test } from "bun:test";
import { failureOf } from "../../test/failure-of.ts";
import { answerSchema } from "./answer-schema.ts";

const object = (properties: object, more: object = {}) => ({
  type: "object",
  properties,
  required: Object.keys(properties),
  ...more,
});

describe("what a grammar cannot hold is refused with its place", () => {
  test.each<[where: string, schema: unknown]>([
    ["s.properties.a.minimum", object({ a: { type: "number", minimum: 5 } })],
    ["s.properties.a.minimum", object({ a: { type: "integer", minimum: 5 } })],
    ["s.properties.a.multipleOf", object({ a: { type: "integer", multipleOf: 5 } })],
    ["s.properties.a.pattern", object({ a: { type: "string", pattern: "^a+$" } })],
    ["s.properties.a.format", object({ a: { type: "string", format: "email" } })],
    ["s.properties.a.maxLength", object({ a: { type: "string", maxLength: 100_000 } })],
    ["s.properties.a.maxLength", object({ a: { type: "string", minLength: 3, maxLength: 2 } })],
    ["s.properties.a.type", object({ a: { type: "nothing" } })],
    ["s.properties.a.$ref", object({ a: { $ref: "#/definitions/missing" } })],
    ["s.properties.a.$ref", object({ a: { $ref: "https://example.com/schema" } })],
    ["s.properties.a.uniqueItems", object({ a: { type: "array", uniqueItems: true } })],
    ["s.properties.a.contains", object({ a: { type: "array", contains: {} } })],
    ["s.properties.a.enum", object({ a: { enum: [{ b: 1 }] } })],
    ["s.properties.a.not", object({ a: { type: "string", not: { const: "x" } } })],
    ["s.properties.a.frobnicate", object({ a: { type: "string", frobnicate: 1 } })],
    ["s.patternProperties", object({}, { patternProperties: { "^a": {} } })],
    ["s.minProperties", object({ a: {} }, { minProperties: 1 })],
    ["s.required", { type: "object", properties: { a: {} }, required: ["b"] }],
    ["s.allOf", { allOf: [object({ a: {} }), object({ b: {} })] }],
    ["s.anyOf", { anyOf: [] }],
    ["s.properties.a", object({ a: false })],
    ["s.if", object({ a: {} }, { if: {} })],
    ["s", object({ next: { $ref: "#" } })],
  ])("%s", async (param, schema) => {
    const failure = await failureOf(Promise.try(() => answerSchema(schema, "s")));
    expect(failure).toMatchObject({ kind: "invalid", details: { param } });
  });
});

describe("what a grammar can hold is translated", () => {
  test.each<[name: string, schema: unknown, expected: unknown]>([
    ["a text with a length", { type: "string", minLength: 2 }, { type: "string", minLength: 2 }],
    ["a date", { type: "string", format: "date" }, { type: "string", format: "date" }],
    [
      "several types",
      { type: ["string", "null"] },
      { oneOf: [{ type: "string" }, { type: "null" }] },
    ],
    ["a type that is not said", { maxLength: 3 }, { type: "string", maxLength: 3 }],
    ["a bounded whole number", { type: "integer", minimum: 1, maximum: 3 }, { enum: [1, 2, 3] }],
    [
      "open bounds",
      { type: "integer", exclusiveMinimum: 1, exclusiveMaximum: 4 },
      { enum: [2, 3] },
    ],
    ["steps", { type: "integer", minimum: 0, maximum: 9, multipleOf: 5 }, { enum: [0, 5] }],
    ["one of allOf", { allOf: [{ type: "null" }] }, { type: "null" }],
    ["annotations", { type: "null", title: "T", default: null, examples: [] }, { type: "null" }],
    [
      "a tuple",
      { type: "array", prefixItems: [{ type: "null" }], items: false },
      { type: "array", prefixItems: [{ type: "null" }], maxItems: 1 },
    ],
    [
      "optional properties",
      { type: "object", properties: { a: { type: "null" }, b: { type: "null" } }, required: ["a"] },
      {
        oneOf: [
          { type: "object", properties: { a: { type: "null" }, b: { type: "null" } } },
          { type: "object", properties: { a: { type: "null" } } },
        ],
      },
    ],
    [
      "definitions",
      object({ a: { $ref: "#/definitions/x" } }, { definitions: { x: { type: "null" } } }),
      {
        type: "object",
        properties: { a: { $ref: "#/$defs/definitions-x" } },
        $defs: { "definitions-x": { type: "null" } },
      },
    ],
  ])("%s", (_name, schema, expected) => {
    expect(answerSchema(schema, "s")).toEqual(expected as ReturnType<typeof answerSchema>);
  });

  test("a schema that may end refers to itself", () => {
    const list = object({
      value: { type: "null" },
      next: { anyOf: [{ $ref: "#" }, { type: "null" }] },
    });
    expect(answerSchema(list, "s")).toMatchObject({
      properties: { next: { oneOf: [{ $ref: "#/$defs/root" }, { type: "null" }] } },
      $defs: { root: { type: "object" } },
    });
  });
});

test("the parameters of a tool that is not strict lose what a grammar cannot hold", () => {
  const parameters = {
    type: "object",
    properties: { url: { type: "string", format: "uri" }, limit: { type: "integer", minimum: 1 } },
    $schema: "https://json-schema.org/draft/2020-12/schema",
  };
  expect(answerSchema(parameters, "s", false)).toEqual({
    type: "object",
    properties: { url: { type: "string" }, limit: { type: "integer" } },
  });
});
