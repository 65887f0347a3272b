/** The part of JSON Schema that providers accept. */
export interface JsonSchema {
  type?: string | string[];
  description?: string;
  title?: string;
  properties?: Record<string, JsonSchema>;
  required?: string[];
  items?: JsonSchema;
  enum?: unknown[];
  const?: unknown;
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  allOf?: JsonSchema[];
  $ref?: string;
  $defs?: Record<string, JsonSchema>;
  definitions?: Record<string, JsonSchema>;
  format?: string;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  minItems?: number;
  maxItems?: number;
  minLength?: number;
  maxLength?: number;
  default?: unknown;
}

/** What values are drawn from. */
export interface Evidence {
  /** What the user said last. */
  question: string;
  /** Everything else that was said or given. */
  context: string;
  /** What a plain answer would be. */
  answer: string;
}

/** The words that a property is known by. */
export interface Hint {
  name: string;
  /** Lower-case words of the name and of the description. */
  words: string[];
}
