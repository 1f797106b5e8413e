/**
 * CloudFormation templates: read with their short tags (`!Ref`), searched for references, and evaluated far enough to see
 * what a stack would contain. Ids of resources are made up, in EC2's form.
 */
import { parse, type ScalarTag, type YAMLMap, type YAMLSeq } from 'yaml';

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type JsonMap = { readonly [key: string]: Json };

export interface ResourceDeclaration {
  readonly Type: string;
  readonly Condition?: string;
  readonly DependsOn?: string | readonly string[];
  readonly DeletionPolicy?: string;
  readonly UpdateReplacePolicy?: string;
  readonly Properties: JsonMap;
}

export interface Template {
  readonly Parameters: Readonly<Record<string, JsonMap>>;
  readonly Rules: JsonMap;
  readonly Conditions: Readonly<Record<string, Json>>;
  readonly Resources: Readonly<Record<string, ResourceDeclaration>>;
  readonly Outputs: Readonly<Record<string, JsonMap>>;
}

const FUNCTIONS = ['Base64', 'Sub', 'If', 'Not', 'And', 'Or', 'Equals', 'Join', 'Split', 'Select', 'GetAtt'];

function longForm(name: string, value: Json): JsonMap {
  if (name === 'Ref' || name === 'Condition') return { [name]: value };
  if (name === 'GetAtt' && typeof value === 'string') {
    const dot = value.indexOf('.');
    return { 'Fn::GetAtt': [value.slice(0, dot), value.slice(dot + 1)] };
  }
  return { [`Fn::${name}`]: value };
}

const tags = [...FUNCTIONS, 'Ref', 'Condition'].flatMap((name) => [
  { tag: `!${name}`, resolve: (value: string) => longForm(name, value) } satisfies ScalarTag,
  {
    tag: `!${name}`,
    collection: 'seq' as const,
    resolve: (value: YAMLSeq | YAMLMap) => longForm(name, value.toJSON() as Json),
  },
]);

export function parseTemplate(text: string): Template {
  // CloudFormation has no aliases: with a limit of 0 a file that uses one is refused here too.
  return parse(text, { customTags: tags, maxAliasCount: 0 }) as Template;
}

export function isMap(value: Json | undefined): value is JsonMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Every value inside, itself included. */
export function* walk(value: Json): Generator<Json> {
  yield value;
  if (Array.isArray(value)) for (const item of value as readonly Json[]) yield* walk(item);
  else if (isMap(value)) for (const item of Object.values(value)) yield* walk(item);
}

const SUBSTITUTION = /\$\{(!?)([^}]*)\}/g;

/** Names of parameters and resources that are referred to; `Name.Attribute` where it is one. */
export function* references(value: Json): Generator<string> {
  for (const item of walk(value)) {
    if (!isMap(item)) continue;
    if (typeof item.Ref === 'string') yield item.Ref;
    const attribute = item['Fn::GetAtt'];
    if (Array.isArray(attribute)) yield attribute.join('.');
    const sub = item['Fn::Sub'];
    const [text, own] = Array.isArray(sub) ? [sub[0], Object.keys(sub[1] as JsonMap)] : [sub, []];
    if (typeof text !== 'string') continue;
    for (const [, literal, name = ''] of text.matchAll(SUBSTITUTION))
      if (literal === '' && !own.includes(name)) yield name;
  }
}

const ID_FORMS: Readonly<Record<string, string>> = {
  'AWS::EC2::EIP': '198.51.100.7',
  'AWS::EC2::Instance': 'i',
  'AWS::EC2::NetworkInterface': 'eni',
  'AWS::EC2::RouteTable': 'rtb',
  'AWS::EC2::Volume': 'vol',
  'AWS::EC2::SecurityGroup': 'sg',
};

/** The values of a stack made with these parameters; everything that was left out has its default. */
export class Stack {
  readonly #template: Template;
  readonly #parameters: Readonly<Record<string, string>>;

  constructor(template: Template, parameters: Readonly<Record<string, string>>) {
    this.#template = template;
    this.#parameters = parameters;
  }

  has(resource: string): boolean {
    const condition = this.#template.Resources[resource]?.Condition;
    return condition === undefined || this.#holds({ Condition: condition });
  }

  evaluate(value: Json): Json {
    if (Array.isArray(value)) return value.map((item) => this.evaluate(item));
    if (!isMap(value)) return value;
    const [[name, argument] = ['', null], ...more] = Object.entries(value);
    if (more.length > 0 || !(name === 'Ref' || name.startsWith('Fn::')))
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, this.evaluate(item)]));
    return this.#call(name, argument);
  }

  #call(name: string, argument: Json): Json {
    const list = Array.isArray(argument) ? argument : [];
    switch (name) {
      case 'Ref':
        return this.#ref(String(argument));
      case 'Fn::GetAtt':
        return this.#attribute(String(list[0]), String(list[1]));
      case 'Fn::Sub':
        return this.#substitute(argument);
      case 'Fn::If':
        return this.evaluate((this.#holds({ Condition: list[0] ?? '' }) ? list[1] : list[2]) ?? null);
      case 'Fn::Join':
        return (this.evaluate(list[1] ?? []) as string[]).join(String(list[0]));
      case 'Fn::Split':
        return String(this.evaluate(list[1] ?? '')).split(String(list[0]));
      // What it is for is the API's transport; the text is of interest.
      case 'Fn::Base64':
        return this.evaluate(argument);
      default:
        throw new Error(`this test cannot evaluate ${name}`);
    }
  }

  #ref(name: string): string {
    const parameter = this.#template.Parameters[name];
    if (parameter !== undefined) {
      const value = this.#parameters[name] ?? parameter.Default;
      if (value === undefined) throw new Error(`the parameter ${name} has no value`);
      return String(value);
    }
    if (name === 'AWS::Region') return 'us-east-1';
    const resource = this.#template.Resources[name];
    if (resource === undefined) throw new Error(`there is no ${name}`);
    if (!this.has(name)) throw new Error(`${name} is not in this stack`);
    if (resource.Type === 'AWS::ElasticLoadBalancingV2::TargetGroup')
      return 'arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/nfs/73e2d6bc24d8a067';
    const form = ID_FORMS[resource.Type];
    if (form === undefined) throw new Error(`this test has no id for ${resource.Type}`);
    return /^[a-z]+$/.test(form) ? `${form}-${this.#number(name)}` : form;
  }

  #attribute(resource: string, attribute: string): string {
    const type = this.#template.Resources[resource]?.Type;
    if (type === 'AWS::EC2::SecurityGroup' && attribute === 'GroupId') return this.#ref(resource);
    if (type === 'AWS::EC2::EIP' && attribute === 'AllocationId') return `eipalloc-${this.#number(resource)}`;
    throw new Error(`this test cannot evaluate ${resource}.${attribute}`);
  }

  /** Another one for each resource. */
  #number(name: string): string {
    const position = Object.keys(this.#template.Resources).indexOf(name);
    return `0a1b2c3d4e5f6${String(position).padStart(4, '0')}`;
  }

  #substitute(argument: Json): string {
    const [text, own] = Array.isArray(argument) ? [argument[0], argument[1] as JsonMap] : [argument, {}];
    return String(text).replaceAll(SUBSTITUTION, (_, literal: string, name: string) => {
      if (literal !== '') return `\${${name}}`;
      const value = own[name];
      if (value !== undefined) return String(this.evaluate(value));
      const [resource = '', attribute] = name.split('.');
      return attribute === undefined ? this.#ref(name) : this.#attribute(resource, attribute);
    });
  }

  #holds(condition: Json): boolean {
    if (!isMap(condition)) throw new Error('a condition is a map');
    const [[name, argument] = ['', null]] = Object.entries(condition);
    const list = (Array.isArray(argument) ? argument : []) as readonly Json[];
    switch (name) {
      case 'Condition':
        return this.#holds(this.#template.Conditions[String(argument)] ?? null);
      case 'Fn::Equals':
        return this.evaluate(list[0] ?? null) === this.evaluate(list[1] ?? null);
      case 'Fn::Not':
        return !this.#holds(list[0] ?? null);
      default:
        throw new Error(`this test cannot evaluate the condition ${name}`);
    }
  }
}
