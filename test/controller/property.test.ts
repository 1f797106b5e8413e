/**
 * Random sequences of EC2 calls and mishaps keep the invariants of the world, and the forwarder agrees with it.
 * The calls go over HTTP as raw Query requests: the SDK would only slow the search down.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { checkWorld, type VpcController } from '../../cluster/local/controller/index.ts';
import { A, B, OVERLAY, pause, ROUTES, raw, SPARE, startController, VIP } from './support.ts';

const eni = fc.constantFrom(A.eni, B.eni);
const instance = fc.constantFrom(A.instance, B.instance);
const ip = fc.constantFrom(A.ip, B.ip, A.floating);
const flag = fc.constantFrom('true', 'false', '');
const action = (name: string, parameters: Record<string, fc.Arbitrary<string>>) =>
  fc.record({ Action: fc.constant(name), ...parameters });

const call = fc.oneof(
  {
    weight: 4,
    arbitrary: action('AssociateAddress', {
      AllocationId: fc.constantFrom(VIP.allocation, SPARE.allocation),
      NetworkInterfaceId: eni,
      PrivateIpAddress: fc.oneof(ip, fc.constant('')),
      AllowReassociation: flag,
    }),
  },
  // "0", "1", …: the n-th association id ever seen, most of them dead.
  { weight: 2, arbitrary: action('DisassociateAddress', { AssociationId: fc.nat({ max: 12 }).map(String) }) },
  {
    weight: 3,
    arbitrary: action('AssignPrivateIpAddresses', {
      NetworkInterfaceId: eni,
      'PrivateIpAddress.1': ip,
      AllowReassignment: flag,
    }),
  },
  action('UnassignPrivateIpAddresses', { NetworkInterfaceId: eni, 'PrivateIpAddress.1': ip }),
  action('StopInstances', { 'InstanceId.1': instance, SkipOsShutdown: flag, Force: flag }),
  action('StartInstances', { 'InstanceId.1': instance }),
  ...['CreateRoute', 'ReplaceRoute', 'DeleteRoute'].map((name) =>
    action(name, {
      RouteTableId: fc.constant(ROUTES),
      DestinationCidrBlock: fc.constantFrom(OVERLAY, '10.9.0.0/16', '10.9.1.1/16'),
      ...(name === 'DeleteRoute' ? {} : { NetworkInterfaceId: eni }),
    }),
  ),
  action('DescribeAddresses', {}),
);

const called = call.map((form) => ({ kind: 'call' as const, form: form as Record<string, string> }));

const mishap = fc.oneof(
  fc.record({ kind: fc.constant('link' as const), eni, up: fc.boolean() }),
  fc.record({ kind: fc.constant('crash' as const), instance }),
  fc.record({ kind: fc.constant('wait' as const) }),
);

const faults = fc.record({
  lost: fc.constantFrom(0, 0.3),
  failed: fc.constantFrom(0, 0.3),
  late: fc.constantFrom(0, 0.3),
  seed: fc.integer(),
});

type Step =
  | { kind: 'call'; form: Record<string, string> }
  | { kind: 'link'; eni: string; up: boolean }
  | { kind: 'crash'; instance: string }
  | { kind: 'wait' };

class Witness {
  readonly ids: string[] = [];
  readonly #controller: VpcController;

  constructor(controller: VpcController) {
    this.#controller = controller;
    this.look();
  }

  /** Every association id belongs to one association for all time; a private-address move keeps it. */
  look(): void {
    const { world } = this.#controller;
    expect(checkWorld(world)).toEqual([]);
    for (const { association, publicIp } of world.addresses.values()) {
      const target = this.#controller.lookup(publicIp)?.target;
      expect(target?.privateIp).toBe(association?.privateIp);
      expect(target?.interfaceId).toBe(association?.interfaceId);
      if (association !== null && !this.ids.includes(association.id)) this.ids.push(association.id);
    }
  }
}

async function perform(controller: VpcController, witness: Witness, step: Step): Promise<void> {
  switch (step.kind) {
    case 'link':
      return controller.setInterfaceLink(step.eni, step.up);
    case 'crash':
      return controller.power(step.instance, 'crash');
    case 'wait':
      return pause(4);
    case 'call':
      return send(controller, witness, step.form);
  }
}

async function send(
  controller: VpcController,
  witness: Witness,
  step: Record<string, string>,
): Promise<void> {
  const { AssociationId, ...form } = step;
  const id =
    AssociationId === undefined ? {} : { AssociationId: witness.ids[Number(AssociationId)] ?? 'eipassoc-0' };
  const before = controller.world;
  const living = () => [...controller.world.addresses.values()].map((one) => one.association?.id);
  const livingIds = living();
  const reply = await raw(controller, { ...form, ...id }).catch(() => null);
  if (reply === null) return; // a lost reply: anything may have happened, within the invariants
  if (form.Action === 'AssociateAddress' && reply.status === 200) {
    const made = /<associationId>(.*?)</.exec(reply.body)?.[1] ?? '';
    expect(witness.ids).not.toContain(made);
    if (form.AllowReassociation === 'false') {
      expect(before.addresses.get(form.AllocationId ?? '')?.association ?? null).toBeNull();
    }
  }
  if (form.Action === 'DisassociateAddress') {
    const isLiving = livingIds.includes(id.AssociationId);
    if (reply.status === 200) expect(isLiving).toBe(true);
    else if (!isLiving) expect(living()).toEqual(livingIds);
  }
}

it('random calls keep one holder per address, never reuse an association id, and dead ids change nothing', async () => {
  await fc.assert(
    fc.asyncProperty(
      faults,
      fc.array(fc.oneof({ weight: 6, arbitrary: called }, mishap), { minLength: 5, maxLength: 25 }),
      async ({ lost, failed, late, seed }, steps) => {
        const timing = { osShutdownMs: 3, stoppingMs: 2, pendingMs: 2, reassignMs: 2 };
        const { controller, stop } = await startController({ timing }, { seed });
        controller.setFaults({
          rules: [
            { kind: 'lost-reply', probability: lost },
            { kind: 'error', executed: true, probability: failed },
            { kind: 'late', ms: 2, probability: late },
          ],
        });
        try {
          const witness = new Witness(controller);
          for (const step of steps) {
            // Background moves may fall between; `perform` compares only what it caused in one go.
            await perform(controller, witness, step);
            witness.look();
          }
          await pause(10);
          witness.look();
          for (const one of controller.world.instances.values()) {
            if (one.state === 'stopped') expect(one.powered).toBe(false);
          }
        } finally {
          await stop();
        }
      },
    ),
    { numRuns: 60 },
  );
}, 60_000);
