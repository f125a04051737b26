// Whether a value fits a JSON Schema: the keywords that inputs are declared with. An agent knows all of them.

const TYPES = {
  array: Array.isArray,
  boolean: (value) => typeof value === "boolean",
  integer: Number.isInteger,
  null: (value) => value === null,
  number: (value) => typeof value === "number",
  object: (value) => typeof value === "object" && value !== null && !Array.isArray(value),
  string: (value) => typeof value === "string",
};
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/** What is wrong with `value`, with its place, or undefined. */
export function misfit(schema, value, root = schema, place = "") {
  const wrong = (what) => `${place || "the inputs"}: ${what}`;
  if (schema === true || schema === undefined) return undefined;
  if (schema === false) return wrong("nothing is allowed here");
  if (schema.$ref) {
    const target = schema.$ref.replace(/^#\/?/, "").split("/").filter(Boolean);
    return misfit(target.reduce((part, key) => part?.[key.replaceAll("~1", "/").replaceAll("~0", "~")], root), value, root, place);
  }
  const types = [schema.type ?? []].flat();
  if (types.length && !types.some((type) => TYPES[type]?.(value))) return wrong(`is not of type ${types.join(" or ")}`);
  if (schema.enum && !schema.enum.some((one) => same(one, value))) return wrong(`is none of ${JSON.stringify(schema.enum)}`);
  if ("const" in schema && !same(schema.const, value)) return wrong(`is not ${JSON.stringify(schema.const)}`);
  for (const [key, holds] of [
    ["minimum", (limit) => value >= limit],
    ["maximum", (limit) => value <= limit],
    ["exclusiveMinimum", (limit) => value > limit],
    ["exclusiveMaximum", (limit) => value < limit],
  ]) {
    if (TYPES.number(value) && key in schema && !holds(schema[key])) return wrong(`${key} is ${schema[key]}`);
  }
  if (TYPES.string(value)) {
    const length = [...value].length;
    if (length < (schema.minLength ?? 0)) return wrong(`has fewer than ${schema.minLength} letters`);
    if (length > (schema.maxLength ?? Infinity)) return wrong(`has more than ${schema.maxLength} letters`);
    if (schema.pattern && !new RegExp(schema.pattern, "u").test(value)) return wrong(`does not match ${schema.pattern}`);
  }
  if (Array.isArray(value)) {
    if (value.length < (schema.minItems ?? 0)) return wrong(`has fewer than ${schema.minItems} items`);
    if (value.length > (schema.maxItems ?? Infinity)) return wrong(`has more than ${schema.maxItems} items`);
    return first(value.map((item, index) => misfit(schema.items, item, root, `${place}/${index}`)));
  }
  if (TYPES.object(value)) {
    const missing = (schema.required ?? []).find((key) => !Object.hasOwn(value, key));
    if (missing !== undefined) return wrong(`"${missing}" is a required property`);
    return first(
      Object.entries(value).map(([key, item]) =>
        misfit(Object.hasOwn(schema.properties ?? {}, key) ? schema.properties[key] : schema.additionalProperties, item, root, `${place}/${key}`),
      ),
    );
  }
  return undefined;
}

const first = (faults) => faults.find((fault) => fault !== undefined);
