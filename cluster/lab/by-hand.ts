/**
 * The same failure with nothing of the product: the moment the holder is gone, a person who had waited for it moves everything
 * by the plainest commands. What a takeover by Quorate takes longer is what it adds: the promise, the vote, the log, the checks.
 *
 * It is no way to run a pair: nothing here knows whether the other one is dead (safety.md), so DRBD's fencing is off.
 */

import { START_SCRIPT } from './disks.ts';
import { CONTROLLER, type DataNode, peerOf, serviceAddress } from './hosts.ts';
import type { Lab } from './lab.ts';
import { now } from './now.ts';
import { Observer } from './observer.ts';
import { outageMs } from './outage.ts';
import { ALLOCATION, drbdDevice, interfaceOf, PACES, REGION } from './plan.ts';
import { WARM_UP } from './stage.ts';

const CONNECT_LIMIT_MS = 30_000;
const SERVE_LIMIT_MS = 30_000;

export interface HandResult {
  readonly scenario: 'power-cut-by-hand';
  readonly ok: boolean;
  readonly outageMs: number;
  /** `drbdMs` has the wait in it until DRBD notices that its peer is gone. */
  readonly split: {
    readonly drbdMs: number;
    readonly poolMs: number;
    readonly addressMs: number;
    readonly serviceMs: number;
  };
  readonly writes: { readonly acknowledged: number; readonly lost: number };
  readonly maxHolders: number;
}

/** In a bare lab: DRBD is set up, nobody is Primary. One power cut of the holder. */
export async function powerCutByHand(lab: Lab): Promise<HandResult> {
  const holder: DataNode = 'a';
  const pace = PACES[lab.options.timing];
  const standby = peerOf(holder);
  await Promise.all([prepare(lab, holder), prepare(lab, standby)]);
  await take(lab, holder);
  const observer = new Observer(() => lab.addressLeadsTo(), pace);
  observer.start();
  await lab.startWriting();
  await served(lab, WARM_UP * pace.someWrites);
  lab.options.say(`${holder} loses its power`);
  const from = now();
  await lab.powerOff(holder);
  const split = await take(lab, standby);
  await served(lab, pace.someWrites);
  const until = now();
  await lab.stopWriting();
  await observer.stop();
  const { acknowledged, lost } = await lab.verifyRecords();
  const maxHolders = observer.maxHolders(lab.acknowledgements);
  return {
    scenario: 'power-cut-by-hand',
    ok: lost.length === 0 && maxHolders === 1,
    outageMs: Math.round(outageMs(lab.acknowledgements, from, until)),
    split,
    writes: { acknowledged, lost: lost.length },
    maxHolders,
  };
}

async function prepare(lab: Lab, node: DataNode): Promise<void> {
  await lab.must(node, `sed -i 's/fencing .*;/fencing dont-care;/' /etc/drbd.d/r0.res && drbdadm adjust r0`);
  const store = `"$lab_node" "$lab_dist/local-store.mjs" /etc/quorate/store.json`;
  await lab.must(node, `setsid ${store} </dev/null >/dev/null 2>&1 & echo $! >/run/lab/store.pid`);
  await lab.waitFor(
    `DRBD of ${node} is connected`,
    async () => (await lab.must(node, 'drbdadm cstate r0')).trim() === 'Connected',
    CONNECT_LIMIT_MS,
  );
}

/** Each step as soon as the one before has ended, in one shell: nothing is faster by hand. */
async function take(lab: Lab, node: DataNode): Promise<HandResult['split']> {
  const query = new URLSearchParams({
    Action: 'AssociateAddress',
    Version: '2016-11-15',
    AllocationId: ALLOCATION,
    NetworkInterfaceId: interfaceOf(node),
    AllowReassociation: 'true',
  });
  const key = `AWS4-HMAC-SHA256 Credential=LAB/20260101/${REGION}/ec2/aws4_request, SignedHeaders=host, Signature=0`;
  const stamp = (what: string): string => `echo "${what} $(date +%s%3N)"`;
  const said = await lab.must(
    node,
    [
      stamp('begin'),
      // Until DRBD knows that its peer is gone it refuses: there is another Primary.
      'until drbdadm primary r0 2>/dev/null; do sleep 0.02; done',
      stamp('drbd'),
      `mount -t ext4 ${drbdDevice(0)} /srv/data || exit 1`,
      stamp('pool'),
      `ip link set eth1 up && ip addr replace ${serviceAddress(node)}/24 dev eth1 || exit 1`,
      `busybox wget -q -O /dev/null --header 'Authorization: ${key}' --post-data '${query}' http://${CONTROLLER.host}:${CONTROLLER.port}/ || exit 1`,
      stamp('address'),
      `${START_SCRIPT} || exit 1`,
      stamp('service'),
    ].join('\n'),
  );
  const at = (what: string): number =>
    Number(new RegExp(`^${what} (\\d+)$`, 'm').exec(said)?.[1] ?? Number.NaN);
  return {
    drbdMs: at('drbd') - at('begin'),
    poolMs: at('pool') - at('drbd'),
    addressMs: at('address') - at('pool'),
    serviceMs: at('service') - at('address'),
  };
}

async function served(lab: Lab, count: number): Promise<void> {
  const before = lab.acknowledgements.length;
  await lab.waitFor(
    'the client is served',
    () => lab.acknowledgements.length >= before + count,
    SERVE_LIMIT_MS,
  );
}
