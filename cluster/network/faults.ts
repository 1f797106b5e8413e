/** What EC2 does to its callers on a bad day, one switch at a time, for every call. */
import type { FaultsInput } from '../local/controller/index.ts';

export interface FaultSwitch {
  readonly name: string;
  readonly faults: FaultsInput;
  /** How long after an answer something of it may still happen. */
  readonly lateMs: number;
}

const LATE_MS = 3_000;
const VISIBLE_MS = 5_000;
/** Those that change something: a reading that is 3 s late is one that timed out. */
const CHANGES = [
  'AssociateAddress',
  'DisassociateAddress',
  'ReplaceRoute',
  'CreateRoute',
  'DeleteRoute',
  'AssignPrivateIpAddresses',
  'UnassignPrivateIpAddresses',
];

export const FAULT_SWITCHES: readonly FaultSwitch[] = [
  {
    name: 'throttling at 50 %',
    faults: {
      rules: [{ kind: 'throttled', probability: 0.5 }],
    },
    lateMs: 1_000,
  },
  {
    name: 'replies lost at 20 %',
    faults: { rules: [{ kind: 'lost-reply', how: 'silence', probability: 0.2 }] },
    lateMs: 1_000,
  },
  {
    name: 'execution 3 s late',
    faults: { rules: [{ kind: 'late', ms: LATE_MS, actions: CHANGES }] },
    lateMs: LATE_MS + 2_000,
  },
  {
    name: 'visibility 5 s late',
    faults: { visibility: { delayMs: VISIBLE_MS, readYourWrites: false } },
    lateMs: VISIBLE_MS + 2_000,
  },
];
