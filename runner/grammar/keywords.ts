/** The keywords of JSON Schema that say what a value must be, and what each one's own value must be. */

/** Keywords that say something of a value but are not kept. */
const REFUSED: Readonly<Record<string, string>> = {
  extends: "it is of draft 3, which is not read: say allOf",
  disallow: "it is of draft 3, which is not read: say not",
  divisibleBy: "it is of draft 3, which is not read: say multipleOf",
};

type Check = (value: unknown) => string | undefined;

export const isObject = (value: unknown): value is Record<string, unknown> =>
  value !== null && typeof value === "object" && !Array.isArray(value);
export const isSchema = (value: unknown) => typeof value === "boolean" || isObject(value);

const SCHEMA: Check = (value) => isSchema(value) ? undefined : "it must be a schema";
const SCHEMAS: Check = (value) =>
  Array.isArray(value) && value.length > 0 && value.every(isSchema)
    ? undefined
    : "it must be a list of schemas that is not empty";
const NAMED: Check = (value) =>
  isObject(value) && Object.values(value).every(isSchema)
    ? undefined
    : "it must be an object of schemas";
const COUNT: Check = (value) =>
  Number.isInteger(value) && (value as number) >= 0
    ? undefined
    : "it must be a whole number from 0 on";
const isNumber = (value: unknown) => typeof value === "number" || typeof value === "bigint";
const NUMBER: Check = (value) => isNumber(value) ? undefined : "it must be a number";
const BOUND: Check = (value) =>
  isNumber(value) || typeof value === "boolean" ? undefined : "it must be a number";
const TEXT: Check = (value) => typeof value === "string" ? undefined : "it must be a string";
const NAMES: Check = (value) =>
  Array.isArray(value) && value.every((name) => typeof name === "string")
    ? undefined
    : "it must be a list of names";

/** Of one list: they are made a grammar in one piece, a sixth of a second for so many. */
const MOST_VALUES = 10_000;

const TYPES = ["null", "boolean", "integer", "number", "string", "array", "object"];

const CHECKS: Readonly<Record<string, Check>> = {
  type: (value) => {
    const unknown = (Array.isArray(value) ? value : [value]).find((name) => !TYPES.includes(name));
    if (unknown !== undefined || value === undefined) return `there is an unknown type in it`;
    return Array.isArray(value) && value.length === 0 ? "it is empty" : undefined;
  },
  enum: (value) => {
    if (!Array.isArray(value)) return "it must be a list";
    if (value.length === 0) return "it is empty";
    return value.length > MOST_VALUES ? `it has more than ${MOST_VALUES} values` : undefined;
  },
  properties: NAMED,
  patternProperties: NAMED,
  additionalProperties: SCHEMA,
  propertyNames: SCHEMA,
  unevaluatedProperties: SCHEMA,
  required: NAMES,
  minProperties: COUNT,
  maxProperties: COUNT,
  dependentRequired: (value) =>
    isObject(value) && Object.values(value).every((names) => NAMES(names) === undefined)
      ? undefined
      : "it must be an object of lists of names",
  dependentSchemas: NAMED,
  dependencies: (value) =>
    isObject(value) &&
      Object.values(value).every((one) => isSchema(one) || NAMES(one) === undefined)
      ? undefined
      : "it must be an object of schemas and lists of names",
  items: (value) =>
    isSchema(value) || (Array.isArray(value) && value.every(isSchema))
      ? undefined
      : "it must be a schema",
  prefixItems: SCHEMAS,
  additionalItems: SCHEMA,
  unevaluatedItems: SCHEMA,
  contains: SCHEMA,
  minContains: COUNT,
  maxContains: COUNT,
  minItems: COUNT,
  maxItems: COUNT,
  uniqueItems: (value) => typeof value === "boolean" ? undefined : "it must be true or false",
  minLength: COUNT,
  maxLength: COUNT,
  pattern: TEXT,
  format: TEXT,
  minimum: NUMBER,
  maximum: NUMBER,
  exclusiveMinimum: BOUND,
  exclusiveMaximum: BOUND,
  multipleOf: (value) =>
    typeof value === "number" && value > 0 ? undefined : "it must be a number above 0",
  allOf: SCHEMAS,
  anyOf: SCHEMAS,
  oneOf: SCHEMAS,
  not: SCHEMA,
  if: SCHEMA,
  then: SCHEMA,
  else: SCHEMA,
  $ref: TEXT,
};

/** Why a keyword is refused; `undefined` if it is fine, or a note. */
export function wrongKeyword(keyword: string, value: unknown): string | undefined {
  if (Object.hasOwn(REFUSED, keyword)) return REFUSED[keyword];
  return Object.hasOwn(CHECKS, keyword) ? CHECKS[keyword]!(value) : undefined;
}
