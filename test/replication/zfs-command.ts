/** `zfs` over the model: the commands that setting aside uses, with ZFS's own refusals, and a power cut before any of them. */
import type { CommandResult, CommandRunner } from '../../src/resources/index.ts';
import { type ModelDataset, type ModelPool, ZfsRefusal } from './zfs-model.ts';

export class PowerCut extends Error {}

export class ZfsCommand implements Pick<CommandRunner, 'run'> {
  readonly #pool: ModelPool;
  readonly calls: string[] = [];
  /** What a rename would mount where it is shared. */
  readonly mounted: string[] = [];
  /** Changes that are still made; then the power goes. */
  changesLeft = Number.POSITIVE_INFINITY;

  constructor(pool: ModelPool) {
    this.#pool = pool;
  }

  readonly run = async (command: readonly string[]): Promise<CommandResult> => {
    const [, verb = ''] = command;
    const isChange = verb !== 'list' && verb !== 'get';
    if (isChange && this.changesLeft <= 0) throw new PowerCut();
    if (isChange) {
      this.changesLeft -= 1;
      this.calls.push(command.join(' '));
    }
    try {
      return { kind: 'exited', code: 0, stdout: this.#perform(verb, command.slice(2)), stderr: '' };
    } catch (error) {
      if (!(error instanceof ZfsRefusal)) throw error;
      return { kind: 'exited', code: 1, stdout: '', stderr: `${error.message}\n` };
    }
  };

  #perform(verb: string, words: readonly string[]): string {
    const pool = this.#pool;
    const last = words.at(-1) ?? '';
    const [dataset = '', snapshot = ''] = last.split('@');
    switch (verb) {
      case 'list':
        return words.includes('snapshot') ? this.#snapshots() : this.#datasets(words[6]?.split(',') ?? []);
      case 'get':
        return words.includes('-s')
          ? this.#own(pool.get(last))
          : `${this.#inherited(last, words[4] ?? '')}\n`;
      case 'snapshot':
        pool.snapshot(dataset, snapshot);
        return '';
      case 'hold':
        return this.#hold(words[0] ?? '', words.slice(1));
      case 'release':
        return this.#letGo(words[0] ?? '', words.slice(1));
      case 'set':
        return this.#set(words);
      case 'inherit':
        pool.get(last).properties.delete(words[0] ?? '');
        return '';
      case 'create':
        pool.create(last);
        return this.#set([...optionsOf(words), last]);
      case 'rename':
        return this.#rename(words.at(-2) ?? '', last, words[0] === '-u');
      case 'clone': {
        const [of = '', name = ''] = (words.at(-2) ?? '').split('@');
        pool.clone(of, name, last);
        return this.#set([...optionsOf(words), last]);
      }
      case 'promote':
        pool.promote(last);
        return '';
      case 'receive':
        pool.abandon(last);
        return '';
      case 'destroy':
        return this.#destroy(dataset, snapshot);
      default:
        throw new Error(`nobody has taught the test "zfs ${verb} ${words.join(' ')}"`);
    }
  }

  /** Without -u it mounts what is shared; with it it takes no volume. */
  #rename(from: string, to: string, isUnmounted: boolean): string {
    const { kind } = this.#pool.get(from);
    if (isUnmounted && kind === 'volume')
      throw new ZfsRefusal(`cannot open '${from}': operation not applicable to datasets of this type`);
    if (!isUnmounted && kind === 'filesystem') this.mounted.push(to);
    this.#pool.rename(from, to);
    return '';
  }

  #datasets(columns: readonly string[]): string {
    return [...this.#pool.datasets.values()]
      .map((one) => `${columns.map((column) => this.#value(one, column)).join('\t')}\n`)
      .join('');
  }

  #value(one: ModelDataset, column: string): string {
    switch (column) {
      case 'name':
        return one.name;
      case 'type':
        return one.kind;
      case 'guid':
        return one.guid;
      case 'origin':
        return one.origin === null ? '-' : `${this.#pool.ownerOf(one.origin).name}@${one.origin.name}`;
      case 'encryptionroot':
        return one.keyOf?.name ?? '-';
      case 'written':
        return String(
          Math.abs(one.content.length - ((one.snapshots.at(-1) ?? one.origin)?.content ?? '').length),
        );
      case 'used':
        return String(one.content.length);
      case 'creation':
        return '1790000000';
      case 'canmount':
        return one.kind === 'volume' ? '-' : (one.properties.get('canmount') ?? 'on');
      case 'receive_resume_token':
        return one.partial?.token ?? '-';
      default:
        return this.#inherited(one.name, column);
    }
  }

  #inherited(name: string, property: string): string {
    for (let at = name; at !== ''; at = at.slice(0, Math.max(0, at.lastIndexOf('/')))) {
      const value = this.#pool.datasets.get(at)?.properties.get(property);
      if (value !== undefined) return value;
    }
    return '-';
  }

  #snapshots(): string {
    return [...this.#pool.datasets.values()]
      .flatMap(({ name, snapshots }) =>
        snapshots.map((one) => `${name}@${one.name}\t${one.guid}\t${one.txg}\n`),
      )
      .join('');
  }

  #own({ properties, isReadonly }: ModelDataset): string {
    const all = [...properties, ['readonly', isReadonly ? 'on' : 'off']];
    return all.map(([key, value]) => `${key}\t${value}\n`).join('');
  }

  #set(words: readonly string[]): string {
    const name = words.at(-1) ?? '';
    const dataset = this.#pool.get(name);
    for (const property of words.slice(0, -1)) {
      const at = property.indexOf('=');
      const [key, value] = [property.slice(0, at), property.slice(at + 1)];
      if (key === 'readonly') dataset.isReadonly = value === 'on';
      else dataset.properties.set(key, value);
    }
    return '';
  }

  #hold(tag: string, snapshots: readonly string[]): string {
    let refused = '';
    for (const full of snapshots) {
      const [dataset = '', name = ''] = full.split('@');
      const snapshot = this.#pool.get(dataset).snapshots.find((one) => one.name === name);
      if (snapshot === undefined)
        throw new ZfsRefusal(`cannot hold snapshot '${full}': dataset does not exist`);
      const key = `hold ${tag} ${snapshot.guid}`;
      // As the kernel: of several the others are held all the same.
      if (this.#tags.has(key)) refused = `cannot hold snapshot '${full}': tag already exists on this dataset`;
      else {
        this.#tags.add(key);
        this.#pool.hold(dataset, name);
      }
    }
    if (refused !== '') throw new ZfsRefusal(refused);
    return '';
  }

  #letGo(tag: string, snapshots: readonly string[]): string {
    for (const full of snapshots) {
      const [dataset = '', name = ''] = full.split('@');
      const { guid } = this.#pool.get(dataset).snapshots.find((one) => one.name === name) ?? { guid: '' };
      if (!this.#tags.delete(`hold ${tag} ${guid}`))
        throw new ZfsRefusal(`cannot release '${full}': no such tag on this dataset`);
      this.#pool.release(dataset, name);
    }
    return '';
  }

  readonly #tags = new Set<string>();

  #destroy(dataset: string, snapshot: string): string {
    if (snapshot === '') this.#pool.destroyDataset(dataset);
    else this.#pool.destroySnapshot(dataset, snapshot);
    return '';
  }
}

/** What stands behind each `-o`. */
const optionsOf = (words: readonly string[]): readonly string[] =>
  words.filter((_, at) => words[at - 1] === '-o');
