/** O2: no mutating call leaves without a valid lease, whichever it is. */
import { expect, it } from 'vitest';
import { type Ec2Api, Ec2Failure, type ElbApi, gatedEc2, gatedElb } from '../../src/resources/index.ts';

/** Every method of the interfaces: the compiler asks for a new one here. */
const EC2 = {
  describeAddress: 'read',
  describeRouteTables: 'read',
  describeInterfaces: 'read',
  describeInstances: 'read',
  associateAddress: 'mutation',
  disassociateAddress: 'mutation',
  replaceRoute: 'mutation',
  createRoute: 'mutation',
  assignPrivateIp: 'mutation',
  modifyInterfaceGroups: 'mutation',
  stopInstance: 'mutation',
} as const satisfies Record<keyof Ec2Api, 'read' | 'mutation'>;
const ELB = {
  describeTargetHealth: 'read',
  registerTargets: 'mutation',
  deregisterTargets: 'mutation',
} as const satisfies Record<keyof ElbApi, 'read' | 'mutation'>;

/** An api whose every method notes that it was called. */
function noting(methods: object, called: string[]) {
  return Object.fromEntries(
    Object.keys(methods).map((name) => [
      name,
      () => {
        called.push(name);
        return Promise.resolve();
      },
    ]),
  );
}

it.each([
  ['EC2', EC2, (api: unknown, may: () => boolean) => gatedEc2(api as Ec2Api, may)],
  ['ELB', ELB, (api: unknown, may: () => boolean) => gatedElb(api as ElbApi, may)],
] as const)(
  'O2: %s: without a lease only readings pass; with one, everything does',
  async (_, methods, gate) => {
    for (const mayMutate of [false, true]) {
      const called: string[] = [];
      const gated = gate(noting(methods, called), () => mayMutate) as unknown as Record<
        string,
        () => Promise<unknown>
      >;
      expect(Object.keys(gated).sort()).toEqual(Object.keys(methods).sort());
      for (const [name, kind] of Object.entries(methods)) {
        const result = await gated[name]?.().catch((error: unknown) => error);
        if (kind === 'read' || mayMutate) expect(called.at(-1)).toBe(name);
        else expect(result).toMatchObject({ constructor: Ec2Failure, kind: 'aborted' });
      }
      expect(called).toHaveLength(
        Object.values(methods).filter((kind) => mayMutate || kind === 'read').length,
      );
    }
  },
);
