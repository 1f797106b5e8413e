/**
 * Reads `drbdsetup events2`: one object per line, `VERB OBJECT key:value ...`; `exists -` ends the first dump.
 *
 * - Unknown verbs, objects and keys are skipped: 9.x has more of them than 8.4 (reference d.4, lab.md 5).
 * - Values contain colons (`local:ipv4:10.0.1.10:7789`): split at the first one only.
 * - 8.4 names every connection `peer`, node id 0, and leaves `conn-name` out while it stands alone.
 */

export interface DrbdVolume {
  readonly volume: string;
  /** The number of /dev/drbdN; empty where it is not said. */
  readonly minor: string;
  readonly disk: string;
}

export interface DrbdPeerVolume {
  readonly volume: string;
  readonly replication: string;
  readonly peerDisk: string;
  /** 9.x: the peer has no disk on purpose (a diskless witness). */
  readonly isPeerClient: boolean;
}

export interface DrbdConnection {
  readonly peerNodeId: string;
  /** Null where 8.4 leaves it out. */
  readonly connName: string | null;
  readonly connection: string;
  readonly role: string;
  readonly volumes: readonly DrbdPeerVolume[];
}

export interface DrbdState {
  /** `absent`: the first dump was complete and did not name the resource: it is down. */
  readonly kind: 'present' | 'absent';
  readonly role: string;
  /** `no`, or what it is suspended by. */
  readonly suspended: string;
  /** 9.x only: "no writes are possible on any other node". */
  readonly mayPromote: boolean | null;
  readonly volumes: readonly DrbdVolume[];
  readonly connections: readonly DrbdConnection[];
}

type Fields = Map<string, string>;

const MAX_OBJECTS = 4096;
const OBJECTS = new Set(['resource', 'device', 'connection', 'peer-device']);

/** Follows the lines of one resource; `state()` is null until the first dump was complete. */
export class DrbdEvents {
  readonly #resource: string;
  readonly #objects = new Map<string, Fields>();
  #isComplete = false;

  constructor(resource: string) {
    this.#resource = resource;
  }

  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** True when the line changed something (or ended the first dump). */
  read(line: string): boolean {
    const [verb = '', object = '', ...rest] = line.trim().split(/\s+/);
    if (verb === 'exists' && object === '-') {
      this.#isComplete = true;
      return true;
    }
    if (!OBJECTS.has(object)) return false;
    const fields = readFields(rest);
    if (fields.get('name') !== this.#resource) return false;
    const key = objectKey(object, fields);
    switch (verb) {
      case 'exists':
      case 'create':
      case 'change': {
        if (this.#objects.size >= MAX_OBJECTS && !this.#objects.has(key)) return false;
        const known = this.#objects.get(key);
        // A change may name only what changed.
        this.#objects.set(key, known === undefined ? fields : new Map([...known, ...fields]));
        return true;
      }
      case 'destroy':
        return this.#objects.delete(key);
      default:
        return false;
    }
  }

  state(): DrbdState | null {
    if (!this.#isComplete) return null;
    const resource = this.#objects.get('resource');
    return {
      kind: resource === undefined ? 'absent' : 'present',
      role: resource?.get('role') ?? '',
      suspended: resource?.get('suspended') ?? '',
      mayPromote: yesOrNo(resource?.get('may_promote')),
      volumes: this.#all('device').map((fields) => ({
        volume: fields.get('volume') ?? '',
        minor: fields.get('minor') ?? '',
        disk: fields.get('disk') ?? '',
      })),
      connections: this.#all('connection').map((fields) => this.#connection(fields)),
    };
  }

  #connection(fields: Fields): DrbdConnection {
    const peerNodeId = fields.get('peer-node-id') ?? '';
    return {
      peerNodeId,
      connName: fields.get('conn-name') ?? null,
      connection: fields.get('connection') ?? '',
      role: fields.get('role') ?? '',
      volumes: this.#all('peer-device')
        .filter((device) => (device.get('peer-node-id') ?? '') === peerNodeId)
        .map((device) => ({
          volume: device.get('volume') ?? '',
          replication: device.get('replication') ?? '',
          peerDisk: device.get('peer-disk') ?? '',
          isPeerClient: device.get('peer-client') === 'yes',
        })),
    };
  }

  #all(object: string): Fields[] {
    return [...this.#objects].filter(([key]) => key.split(' ', 1)[0] === object).map(([, fields]) => fields);
  }
}

/**
 * The whole output of `drbdsetup events2 --now RES`. Null when it does not end as documented, when a line is damaged (two
 * that have become one would give one object the other's role), or when it has lines but none of the resource itself:
 * only an output that says nothing at all says that the resource is down.
 */
export function parseEvents(output: string, resource: string): DrbdState | null {
  const events = new DrbdEvents(resource);
  const lines = output.split('\n').filter((line) => line.trim() !== '');
  if (!lines.every(isSound)) return null;
  for (const line of lines) events.read(line);
  const state = events.state();
  return state?.kind === 'absent' && lines.some((line) => line.trim() !== 'exists -') ? null : state;
}

/** The first dump knows one verb; what follows the object are pairs, each key once. */
function isSound(line: string): boolean {
  const [verb, object, ...words] = line.trim().split(/\s+/);
  if (verb !== 'exists' || object === undefined) return false;
  return !OBJECTS.has(object) || readFields(words).size === words.length;
}

function readFields(words: readonly string[]): Fields {
  const fields: Fields = new Map();
  for (const word of words) {
    const colon = word.indexOf(':');
    if (colon > 0) fields.set(word.slice(0, colon), word.slice(colon + 1));
  }
  return fields;
}

function objectKey(object: string, fields: Fields): string {
  const parts: (string | undefined)[] = [object];
  if (object === 'connection' || object === 'peer-device')
    parts.push(`peer=${fields.get('peer-node-id') ?? ''}`);
  if (object === 'device' || object === 'peer-device') parts.push(`volume=${fields.get('volume') ?? ''}`);
  return parts.join(' ');
}

function yesOrNo(value: string | undefined): boolean | null {
  if (value === undefined) return null;
  return value === 'yes';
}
