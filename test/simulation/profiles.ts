/** Which cluster a run has, how its network is on a normal day, and what goes wrong how often. */
import type { Weights } from './faults.ts';
import type { NetworkWeather } from './models/network.ts';

export interface Shape {
  readonly name: string;
  readonly members: readonly { readonly id: string; readonly witness: boolean }[];
  /** Names of the devices that DRBD mirrors between the two data nodes; none: only a service and the address. */
  readonly devices: readonly string[];
  readonly watchdogMs: number | null;
}

const pairAndWitness = [
  { id: 'a', witness: false },
  { id: 'b', witness: false },
  { id: 'w', witness: true },
];

export const SHAPES = {
  /** The patent's: two devices on each node. */
  pair: { name: 'pair', members: pairAndWitness, devices: ['r0', 'r1'], watchdogMs: 300 },
  /** One device, for stories. */
  mirror: { name: 'mirror', members: pairAndWitness, devices: ['r0'], watchdogMs: 300 },
  /** DRBD alone is the proof that the old holder cannot write (H2, `mode: off`). */
  unwatched: { name: 'unwatched', members: pairAndWitness, devices: ['r0'], watchdogMs: null },
  /** No device: what is exclusive is the service. */
  service: {
    name: 'service',
    members: [
      { id: 'a', witness: false },
      { id: 'b', witness: false },
      { id: 'c', witness: false },
    ],
    devices: [],
    watchdogMs: 300,
  },
  /** Neither device nor watchdog: only for faults that leave every process its time. */
  bare: {
    name: 'bare',
    members: [
      { id: 'a', witness: false },
      { id: 'b', witness: false },
      { id: 'c', witness: false },
    ],
    devices: [],
    watchdogMs: null,
  },
} as const satisfies Record<string, Shape>;

export interface Profile {
  readonly shape: Shape;
  readonly weather: NetworkWeather;
  readonly weights: Weights;
  readonly count: readonly [number, number];
}

const CALM: NetworkWeather = { delayMs: [0.2, 2], loss: 0, duplicate: 0 };
const ROUGH: NetworkWeather = { delayMs: [0.2, 30], loss: 0.05, duplicate: 0.02 };

const EVERYTHING: Weights = {
  'stray-service': 2,
  'service-dies': 4,
  'late-order': 2,
  'near-miss': 2,
  'stuck-service': 3,
  'beset-takeover': 2,
  ambush: 2,
  cut: 4,
  'cut-one-way': 6,
  isolate: 5,
  stall: 4,
  'slow-path': 2,
  'kill-agent': 5,
  'stop-agent': 3,
  'kill-executor': 4,
  'kill-both': 3,
  'freeze-agent': 6,
  'freeze-executor': 4,
  'freeze-guard': 2,
  'freeze-host': 6,
  'suspend-host': 2,
  'power-cut': 6,
  'boot-loop': 1,
  'double-power-cut': 3,
  'disk-slow': 2,
  'disk-hangs': 3,
  'disk-fails': 1,
  'disk-rots': 2,
  'log-loses-its-end': 3,
  'wall-jumps': 1,
  'device-held-open': 3,
  'device-disk-fails': 2,
  'handler-reply-lost': 3,
  'command-hangs': 3,
  'service-fails': 2,
  'service-unkillable': 4,
  'cloud-trouble': 3,
  'cloud-late': 3,
  switchover: 8,
  'new-witness': 2,
};

const HANDOVER: Weights = {
  'restart-agent': 6,
  'stray-service': 3,
  'service-dies': 3,
  'late-order': 6,
  'stuck-service': 8,
  'beset-takeover': 8,
  switchover: 14,
  'kill-agent': 8,
  'stop-agent': 6,
  'kill-executor': 5,
  'kill-both': 2,
  'freeze-agent': 8,
  'freeze-executor': 4,
  'freeze-host': 4,
  'cut-one-way': 6,
  stall: 6,
  isolate: 3,
  'device-held-open': 5,
  'command-hangs': 4,
  'service-fails': 4,
  'service-unkillable': 6,
  'cloud-late': 3,
};

const PROMISES: Weights = {
  'near-miss': 8,
  'service-unkillable': 6,
  ambush: 12,
  'kill-agent': 2,
  'kill-both': 1,
  'power-cut': 3,
  'freeze-host': 2,
  'cut-one-way': 4,
  'slow-path': 3,
  switchover: 2,
};

const BARE: Weights = {
  'late-acks': 12,
  'kill-agent': 2,
  'slow-path': 3,
  stall: 2,
  'cut-one-way': 3,
  isolate: 2,
  switchover: 2,
};

const STORM: Weights = {
  'near-miss': 4,
  'stuck-service': 3,
  'beset-takeover': 3,
  'service-unkillable': 6,
  ambush: 6,
  'slow-path': 8,
  'cut-one-way': 12,
  cut: 4,
  isolate: 3,
  stall: 10,
  'kill-agent': 4,
  'kill-executor': 2,
  'freeze-agent': 6,
  'freeze-executor': 3,
  'freeze-guard': 1,
  'freeze-host': 4,
  'power-cut': 5,
  'double-power-cut': 2,
  'disk-slow': 2,
  switchover: 5,
  'log-loses-its-end': 2,
};

export const PROFILES: Readonly<Record<string, Profile>> = {
  everything: { shape: SHAPES.pair, weather: CALM, weights: EVERYTHING, count: [3, 14] },
  rough: { shape: SHAPES.pair, weather: ROUGH, weights: EVERYTHING, count: [2, 10] },
  /** R3, R4: hand-overs and dying agents, with everything that can come between. */
  handover: { shape: SHAPES.pair, weather: ROUGH, weights: HANDOVER, count: [4, 14] },
  'handover-service': { shape: SHAPES.service, weather: CALM, weights: HANDOVER, count: [4, 14] },
  /** W2, W3, H3: who has the log, who has the data, and who reaches whom. */
  witness: {
    shape: SHAPES.pair,
    weather: CALM,
    weights: {
      isolate: 6,
      cut: 8,
      'cut-one-way': 8,
      'power-cut': 10,
      'double-power-cut': 10,
      'boot-loop': 1,
      'handler-reply-lost': 5,
      'device-disk-fails': 3,
      'kill-agent': 4,
      'disk-slow': 3,
      'log-loses-its-end': 4,
      'disk-rots': 2,
      'freeze-agent': 4,
      switchover: 4,
      'new-witness': 3,
      'deserted-caretaker': 4,
      override: 4,
    },
    count: [4, 14],
  },
  /** O3: an operator overrides, more often than any ever will. */
  override: { shape: SHAPES.pair, weather: CALM, weights: { ...EVERYTHING, override: 60 }, count: [2, 8] },
  /** H7: what operators say in the middle of everything else. */
  operators: {
    shape: SHAPES.pair,
    weather: CALM,
    weights: { ...EVERYTHING, switchover: 12, paused: 24, 'set-aside': 24, 'order-repeated': 16 },
    count: [3, 14],
  },
  /** L7: planned restarts of agents, and what can come between. */
  restarts: {
    shape: SHAPES.pair,
    weather: CALM,
    weights: { ...EVERYTHING, 'restart-agent': 40, 'beset-restart': 60 },
    count: [3, 12],
  },
  'restarts-service': {
    shape: SHAPES.service,
    weather: ROUGH,
    weights: { ...EVERYTHING, 'restart-agent': 40, 'beset-restart': 60 },
    count: [3, 12],
  },
  /** Switchovers at a later time, and what comes between the order and its moment. */
  schedules: {
    shape: SHAPES.pair,
    weather: CALM,
    weights: { ...EVERYTHING, scheduled: 120 },
    count: [3, 12],
  },
  unwatched: { shape: SHAPES.unwatched, weather: ROUGH, weights: EVERYTHING, count: [3, 12] },
  service: { shape: SHAPES.service, weather: ROUGH, weights: EVERYTHING, count: [3, 12] },
  /** L2: situations in which nothing but a promise holds a voter back. */
  promises: { shape: SHAPES.service, weather: CALM, weights: PROMISES, count: [2, 8] },
  /** L1: a promise without room for a watchdog is the shortest that there is. Nothing freezes: that needs a watchdog (H2). */
  bare: { shape: SHAPES.bare, weather: CALM, weights: BARE, count: [3, 8] },
  /** L1 to L6: so many short troubles that they meet each other in the middle of an election. */
  storm: { shape: SHAPES.service, weather: ROUGH, weights: STORM, count: [20, 60] },
  'storm-pair': { shape: SHAPES.pair, weather: CALM, weights: STORM, count: [15, 50] },
  'storm-unwatched': { shape: SHAPES.unwatched, weather: CALM, weights: STORM, count: [15, 50] },
};

/** Where none is named, the seeds take turns. */
export const TURNS = [
  'everything',
  'storm',
  'handover',
  'handover-service',
  'witness',
  'storm-pair',
  'rough',
  'service',
  'storm-unwatched',
  'witness',
  'promises',
  'bare',
  'unwatched',
  'operators',
  'restarts',
  'restarts-service',
  'schedules',
] as const;

export function profileOf(
  seed: number,
  name: string | null,
): { readonly name: string; readonly profile: Profile } {
  const chosen = name ?? TURNS[seed % TURNS.length] ?? 'everything';
  const profile = PROFILES[chosen];
  if (profile === undefined)
    throw new RangeError(`there is no profile "${chosen}": ${Object.keys(PROFILES).join(', ')}`);
  return { name: chosen, profile };
}
