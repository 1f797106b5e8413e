/**
 * The resource file that DRBD reads (/etc/drbd.d/NAME.res), as Quorate's rules need it. Pure: one text for one plan.
 * `quorate doctor` judges what such a file says; a test holds the two together.
 *
 * - 8.4 has `fencing` under "disk", 9 under "net", and each parser refuses the other's place.
 * - Nobody but Quorate promotes: no `become-primary-on`, and 9's `auto-promote` off.
 * - No handler but `fence-peer`: what `after-resync-target` could tell, the agent reads from DRBD itself (H3).
 */
export interface DrbdFileHost {
  /** As `uname -n` says, best the node's id. */
  readonly name: string;
  /** On the replication link. */
  readonly address: string;
  /** One for each volume. */
  readonly volumes: readonly { readonly disk: string; readonly metaDisk: string }[];
}

export interface DrbdFile {
  readonly resource: string;
  readonly version: '8.4' | '9';
  /** At least one volume, on all the same number. */
  readonly hosts: readonly DrbdFileHost[];
  /** DRBD 9: takes part without a disk, so that two of three are a majority. */
  readonly tieBreaker: Omit<DrbdFileHost, 'volumes'> | null;
  readonly port: number;
  /** Of the first volume; the others follow it. */
  readonly minor: number;
  /** The command line of `quorate fence-peer`. */
  readonly handler: string;
  /** L: who still has its lease should not be taken for dead. */
  readonly leaseMs: number;
}

export function renderDrbdFile(file: DrbdFile): string {
  const is9 = file.version === '9';
  const lines = [
    ...(is9 ? HEAD_9 : HEAD_84),
    `resource ${file.resource} {`,
    ...indent([
      ...(is9 ? section('options', options(file)) : []),
      ...section('net', net(file)),
      ...section('disk', disk(is9)),
      ...section('handlers', handlers(file)),
      ...section('startup', startup()),
      ...file.hosts.flatMap((host, id) => on(file, host, id)),
      ...(file.tieBreaker === null ? [] : tieBreaker(file, file.tieBreaker)),
    ]),
    '}',
  ];
  return `${lines.join('\n')}\n`;
}

const HEAD_84: readonly string[] = [
  '# For DRBD 8.4, which Linux kernels bring along (`modinfo -F version drbd` says 8.4.11), as `quorate drbd-config` writes it. The',
  '# separate DRBD 9 module needs another file (`--drbd 9`): `fencing` has moved to another section there.',
  '#',
  "# The names after `on` are the hosts' own (`uname -n`), the addresses those of the replication link. The witness takes no part.",
];
const HEAD_9: readonly string[] = [
  "# For DRBD 9 (LINBIT's module), as `quorate drbd-config --drbd 9` writes it. UNTESTED: Quorate has been run on real 8.4 only.",
  '#',
  "# The names after `on` are the hosts' own (`uname -n`), the addresses those of the replication link.",
];

function options({ tieBreaker }: DrbdFile): readonly string[] {
  const quorum =
    tieBreaker === null
      ? [
          "# DRBD's own quorum needs a third node, if only one without a disk: of two, the loss of one would stop the other.",
          'quorum off;',
        ]
      : [
          '# Two of three, the witness without a disk: the kernel itself fences a Primary that is cut off, even when no agent runs. Not',
          '# instead of the handler below, which lets the log know before writes go on without the peer (H3).',
          'quorum majority;',
          '# An error at once: writes that hang would keep the file system busy, and the release could not end in time (D).',
          'on-no-quorum io-error;',
        ];
  return [
    '# Opening the device must never promote: a mount by mistake would be a second holder.',
    'auto-promote no;',
    ...quorum,
    'on-no-data-accessible io-error;',
    '# A Primary whose peer went on without it gives up its role instead of freezing for ever.',
    'on-suspended-primary-outdated force-secondary;',
  ];
}

const FENCING: readonly string[] = [
  '# Without its peer a Primary freezes all writes until the handler has answered: H3 rests on this. `resource-only` does not',
  '# freeze them, and `dont-care` asks nobody.',
  'fencing resource-and-stonith;',
];

function net({ version, leaseMs }: DrbdFile): readonly string[] {
  const { pingInt, pingTimeout, timeout, connectInt } = drbdTimeouts(leaseMs);
  return [
    '# A write is acknowledged when both disks have it: what a client saw acknowledged is never lost (O3).',
    'protocol C;',
    ...(version === '9' ? FENCING : []),
    '# Who finds that both have written alone never decides by itself which data to throw away (docs/runbooks/split-brain.md).',
    'after-sb-0pri disconnect;',
    'after-sb-1pri disconnect;',
    'after-sb-2pri disconnect;',
    ...(version === '9' ? ['rr-conflict retry-connect;'] : []),
    `# A peer that is gone is noticed after at most ${pingInt + pingTimeout / 10} s: not before a lease of ${leaseMs / 1000} s is over, long before an`,
    '# application gives up. Timeouts in 0.1 s; `timeout` less than ping-int and connect-int.',
    `ping-int ${pingInt};`,
    `ping-timeout ${pingTimeout};`,
    `timeout ${timeout};`,
    `connect-int ${connectInt};`,
  ];
}

/**
 * The shortest whole seconds with which DRBD gives a silent peer up (`ping-int` + `ping-timeout`) no sooner than its lease
 * ends. drbd.conf(5): `ping-timeout` and `timeout` in tenths of a second, `timeout` below `ping-int` and `connect-int`.
 */
export function drbdTimeouts(leaseMs: number): {
  readonly pingInt: number;
  readonly pingTimeout: number;
  readonly timeout: number;
  readonly connectInt: number;
} {
  const pingInt = Math.max(1, Math.ceil(leaseMs / 1500));
  return { pingInt, pingTimeout: 5 * pingInt, timeout: 10 * pingInt - 1, connectInt: Math.max(3, pingInt) };
}

function disk(is9: boolean): readonly string[] {
  return [
    ...(is9 ? [] : FENCING),
    '# A disk that fails is detached; quorate takes this node out and hands over (H3).',
    'on-io-error detach;',
  ];
}

function handlers({ handler }: DrbdFile): readonly string[] {
  return [
    "# 4: the cluster's log says, by a majority, that the peer's data is old. Everything else keeps the writes frozen.",
    `fence-peer "${handler}";`,
    "# No unfence-peer, no after-resync-target: the agent reads DRBD's own state; a handler is only a hint (H3).",
  ];
}

function startup(): readonly string[] {
  return [
    "# For DRBD's old unit drbd.service, which would wait for ever for a peer that is down. drbd@NAME.target does not wait.",
    'wfc-timeout 5;',
    'degr-wfc-timeout 5;',
    'outdated-wfc-timeout 5;',
    '# Never become-primary-on: nobody but Quorate promotes.',
  ];
}

function on(file: DrbdFile, { name, address, volumes }: DrbdFileHost, id: number): readonly string[] {
  const lines = volumes.map(({ disk: path, metaDisk }, volume) => [
    `device    /dev/drbd${file.minor + volume};`,
    `disk      ${path};`,
    `meta-disk ${metaDisk};`,
  ]);
  return host(file, name, address, id, lines);
}

/** Each volume by name: one may not be there on one host only because it goes without saying. */
function tieBreaker(file: DrbdFile, { name, address }: Omit<DrbdFileHost, 'volumes'>): readonly string[] {
  const lines = (file.hosts[0]?.volumes ?? []).map((_, volume) => [
    `device    /dev/drbd${file.minor + volume};`,
    'disk      none;',
  ]);
  const names = [...file.hosts.map((one) => one.name), name];
  return [
    ...host(file, name, address, file.hosts.length, lines),
    ...section('connection-mesh', [`hosts ${names.join(' ')};`]),
  ];
}

function host(
  file: DrbdFile,
  name: string,
  address: string,
  id: number,
  volumes: readonly (readonly string[])[],
): readonly string[] {
  const [only = [], ...more] = volumes;
  return section(`on ${name}`, [
    ...(file.version === '9' ? [`node-id   ${id};`] : []),
    `address   ${address.includes(':') ? `ipv6 [${address}]` : address}:${file.port};`,
    ...(more.length === 0 && file.tieBreaker === null
      ? only
      : volumes.flatMap((lines, volume) => section(`volume ${volume}`, lines))),
  ]);
}

const section = (head: string, lines: readonly string[]): readonly string[] => [
  `${head} {`,
  ...indent(lines),
  '}',
];

const indent = (lines: readonly string[]): readonly string[] => lines.map((line) => `  ${line}`);
