/** `ip` of one host in memory, as far as a route table needs it, with iproute2's words and codes. IPv4 only. */
import type { CommandResult, CommandRunner } from '../../../src/resources/index.ts';

export interface FakeRule {
  readonly from: string;
  readonly table: number;
}

export interface FakeRoute {
  readonly to: string;
  readonly via: string | null;
}

export class FakeIp {
  readonly rules: FakeRule[] = [];
  readonly tables = new Map<number, FakeRoute[]>();
  /** Of its interface. */
  addresses: readonly object[] = [{ family: 'inet', local: '10.9.0.1', prefixlen: 24, scope: 'global' }];
  readonly changes: string[] = [];
  /** Called after every change. */
  onChange: () => void = () => undefined;
  /** So many changes are made, the rest is called off. */
  changesLeft = Number.POSITIVE_INFINITY;

  readonly runner: CommandRunner = {
    run: async (command, { input }) =>
      command.includes('-batch') ? this.#batch(input ?? '') : this.#run(command),
    killMarked: async () => 0,
    follow: () => () => undefined,
  };

  table(number: number): FakeRoute[] {
    const table = this.tables.get(number) ?? [];
    this.tables.set(number, table);
    return table;
  }

  /** What the kernel looks up for a source: the first rule of those with the same priority. */
  effective(from: string): readonly FakeRoute[] | null {
    const rule = this.rules.find((candidate) => candidate.from === from);
    return rule === undefined ? null : (this.tables.get(rule.table) ?? []);
  }

  /** Without -force: up to the first that fails. */
  #batch(input: string): CommandResult {
    for (const [index, line] of input.trimEnd().split('\n').entries()) {
      const result = this.#run(['ip', ...line.split(' ')]);
      if (result.kind !== 'exited') return result;
      if (result.code !== 0) return failed(1, `${result.stderr}Command failed -:${index + 1}\n`);
    }
    return said('');
  }

  #run(command: readonly string[]): CommandResult {
    const words = command.filter((word) => !['ip', '-4', '-N', '-j'].includes(word));
    const line = words.join(' ');
    if (line === 'rule') return said(JSON.stringify(this.#ruleList()));
    if (line.startsWith('route show table')) {
      const table = this.tables.get(Number(words.at(-1)));
      if (table === undefined) return failed(2, 'Error: ipv4: FIB table does not exist.\nDump terminated\n');
      return said(JSON.stringify(table.map(routeObject)));
    }
    if (line.startsWith('addr show'))
      return said(JSON.stringify([LOOPBACK, { ...LINK, addr_info: this.addresses }]));
    if (this.changesLeft <= 0) return { kind: 'aborted' };
    this.changesLeft -= 1;
    const result = this.#change(words);
    this.changes.push(line);
    this.onChange();
    return result;
  }

  #change(words: readonly string[]): CommandResult {
    const [object, verb] = words;
    const after = (key: string): string | null => words[words.indexOf(key) + 1] ?? null;
    if (object === 'rule') {
      const rule = { from: after('from') ?? '', table: Number(after('lookup')) };
      const index = this.rules.findIndex(({ from, table }) => from === rule.from && table === rule.table);
      if (verb === 'del') {
        if (index < 0) return failed(2, 'RTNETLINK answers: No such file or directory\n');
        this.rules.splice(index, 1);
        return said('');
      }
      if (index >= 0) return failed(2, 'RTNETLINK answers: File exists\n');
      this.rules.push(rule);
      return said('');
    }
    const number = Number(after('table'));
    if (verb === 'flush') {
      if (!this.tables.has(number)) return failed(2, 'Error: ipv4: FIB table does not exist.\n');
      this.tables.set(number, []);
      return said('');
    }
    const table = this.table(number);
    const to = words[2] ?? '';
    if (table.some((route) => route.to === to)) return failed(2, 'RTNETLINK answers: File exists\n');
    table.push({ to, via: words.includes('via') ? after('via') : null });
    return said('');
  }

  #ruleList(): unknown[] {
    return [
      { priority: 0, src: 'all', table: '255' },
      ...this.rules.map(({ from, table }) => {
        const [src, srclen] = from.split('/');
        return {
          priority: 100,
          src,
          ...(srclen === undefined ? {} : { srclen: Number(srclen) }),
          table: `${table}`,
        };
      }),
      { priority: 32766, src: 'all', table: '254' },
    ];
  }
}

const LOOPBACK = { ifindex: 1, ifname: 'lo', flags: ['LOOPBACK', 'UP'], operstate: 'UNKNOWN', addr_info: [] };
const LINK = {
  ifindex: 2,
  ifname: 'eth1',
  flags: ['BROADCAST', 'MULTICAST', 'UP', 'LOWER_UP'],
  operstate: 'UP',
};

function routeObject({ to, via }: FakeRoute): unknown {
  return { dst: to, ...(via === null ? { scope: 'link' } : { gateway: via }), dev: 'eth1', flags: [] };
}

const said = (stdout: string): CommandResult => ({ kind: 'exited', code: 0, stdout, stderr: '' });
const failed = (code: number, stderr: string): CommandResult => ({
  kind: 'exited',
  code,
  stdout: '',
  stderr,
});
