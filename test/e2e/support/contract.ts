/**
 * The documents of `--json`, written from design.md and not from src: the commands' own schemas must not be able to
 * change the contract unnoticed.
 */
import { z } from 'zod';

const index = z.int().min(0);
const ms = z.number().min(0);
const text = z.string().min(1);
const hash = z.string().regex(/^[0-9a-f]{64}$/);
const time = z.iso.datetime();

export const status = z.strictObject({
  cluster: text,
  observer: text,
  term: index,
  leader: text.nullable(),
  holder: text.nullable(),
  epoch: index.nullable(),
  quorum: z.boolean().nullable(),
  paused: z.boolean(),
  commitIndex: index,
  chain: hash.nullable(),
  nodes: z.array(
    z.strictObject({
      id: text,
      kind: z.enum(['data', 'witness']),
      zone: text.nullable(),
      role: z.enum(['leader', 'follower', 'candidate', 'caretaker', 'unreachable', 'damaged']).nullable(),
      reachable: z.boolean().nullable(),
      matchIndex: index.nullable(),
      inSync: z.boolean().nullable(),
      standby: z.boolean(),
      chain: hash.nullable(),
    }),
  ),
  lease: z.strictObject({ remainingMs: ms.nullable() }),
  resources: z.array(
    z.strictObject({
      name: text,
      kind: text,
      probe: z.enum(['held', 'not-held', 'unknown']),
      detail: z.string().nullable(),
    }),
  ),
  lastTakeover: z
    .strictObject({
      epoch: index,
      reason: text.nullable(),
      startedAt: time.nullable(),
      steps: z.array(z.strictObject({ name: text, ms, result: text })),
      totalMs: ms.nullable(),
    })
    .nullable(),
});

const tenure = z.strictObject({
  epoch: index,
  node: text,
  grantedAt: time.nullable(),
  releasedAt: time.nullable(),
  reason: text.nullable(),
  gapMs: z.number().nullable(),
});
const violation = z.looseObject({ index });

export const audit = z.strictObject({
  chain: z.strictObject({ ok: z.boolean(), head: hash, entries: index }),
  terms: z.array(
    z.strictObject({
      term: index,
      leader: text,
      electedAt: time.nullable(),
      reason: text,
      votes: z.array(text).min(1),
      detectMs: ms.nullable(),
      electMs: ms,
    }),
  ),
  tenures: z.array(tenure),
  operators: z.array(z.strictObject({ index, who: text, action: text })),
  violations: z.array(violation),
});

export const demo = z.strictObject({
  writes: z.strictObject({ acknowledged: z.int().min(0), lost: z.int().min(0) }),
  maxHolders: z.int().min(0),
  events: z.array(
    z.strictObject({
      name: text,
      from: text,
      to: text,
      detectMs: ms.nullable(),
      electMs: ms.nullable(),
      takeoverMs: ms.nullable(),
      outageMs: ms,
    }),
  ),
  audit: z.strictObject({ ok: z.boolean(), tenures: z.array(tenure), violations: z.array(violation) }),
});

export type AuditContract = z.output<typeof audit>;
