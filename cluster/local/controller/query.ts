/**
 * The Query protocol, request side: form-encoded names with numbered members (EC2's `AllocationId.1` and
 * `Filter.2.Value.1`, ELB's `Targets.member.1.Id`). Every parameter must be known to its action, as EC2 demands, so
 * that a typing error shows.
 */
import { Ec2Error, invalidParameterValue, missingParameter } from './ec2-error.ts';

export interface Filter {
  readonly name: string;
  readonly values: readonly string[];
}

const MAX_LIST_MEMBERS = 1_000;
const COMMON = new Set(['Action', 'Version']);

export class Query {
  readonly action: string;
  readonly #values: ReadonlyMap<string, string>;

  constructor(form: URLSearchParams) {
    this.#values = new Map(form);
    const action = this.#values.get('Action');
    if (!action) throw new Ec2Error('MissingAction', 'The request must contain the parameter Action');
    this.action = action;
  }

  /** For the call history: all parameters but the protocol's own two. */
  get parameters(): Record<string, string> {
    return Object.fromEntries([...this.#values].filter(([name]) => !COMMON.has(name)));
  }

  /** `allowed` writes the numbers as N: `Filter.N.Value.N`. */
  check(allowed: readonly string[]): void {
    const version = this.required('Version');
    if (!/^20\d\d-\d\d-\d\d$/.test(version)) {
      throw new Ec2Error(
        'NoSuchVersion',
        `The requested version (${version}) of this service does not exist`,
      );
    }
    for (const name of this.#values.keys()) {
      const pattern = name.replaceAll(/\.\d+(?=\.|$)/g, '.N');
      if (!COMMON.has(name) && !allowed.includes(pattern)) {
        throw new Ec2Error('UnknownParameter', `The parameter ${name} is not recognized`);
      }
    }
  }

  text(name: string): string | null {
    const value = this.#values.get(name);
    return value === undefined || value === '' ? null : value;
  }

  required(name: string): string {
    const value = this.text(name);
    if (value === null) throw missingParameter(name);
    return value;
  }

  flag(name: string): boolean | null {
    const value = this.text(name);
    if (value === null) return null;
    if (value === 'true' || value === 'True') return true;
    if (value === 'false' || value === 'False') return false;
    throw invalidParameterValue(`Value (${value}) for parameter ${name} is invalid. Invalid boolean value.`);
  }

  whole(name: string, least: number, most: number): number | null {
    const value = this.text(name);
    if (value === null) return null;
    const number = Number(value);
    if (!Number.isInteger(number) || number < least || number > most) {
      throw invalidParameterValue(
        `Value (${value}) for parameter ${name} is invalid. Expecting a whole number from ${least} to ${most}.`,
      );
    }
    return number;
  }

  /** Members `name.1`, `name.2`, … in the order of their numbers; gaps are allowed, as in EC2. */
  list(name: string): string[] {
    const members: [number, string][] = [];
    for (const [key, value] of this.#values) {
      if (!key.startsWith(`${name}.`)) continue;
      const rest = key.slice(name.length + 1);
      if (/^\d+$/.test(rest)) members.push([Number(rest), value]);
    }
    if (members.length > MAX_LIST_MEMBERS)
      throw invalidParameterValue(`Too many values for parameter ${name}.`);
    return members.sort(([a], [b]) => a - b).map(([, value]) => value);
  }

  /** The prefixes `name.1`, `name.2`, … of members that have parts of their own, in the order of their numbers. */
  members(name: string): string[] {
    const numbers = new Set<number>();
    for (const key of this.#values.keys()) {
      const number = key.startsWith(`${name}.`)
        ? /^\d+(?=\.)/.exec(key.slice(name.length + 1))?.[0]
        : undefined;
      if (number !== undefined) numbers.add(Number(number));
    }
    if (numbers.size > MAX_LIST_MEMBERS)
      throw invalidParameterValue(`Too many values for parameter ${name}.`);
    return [...numbers].sort((a, b) => a - b).map((number) => `${name}.${number}`);
  }

  filters(): Filter[] {
    return this.members('Filter').map((member) => ({
      name: this.required(`${member}.Name`),
      values: this.list(`${member}.Value`),
    }));
  }
}
