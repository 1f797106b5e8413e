/** The Elastic IP with the real SDK against a server that speaks EC2's wire protocol. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { instant } from '../../src/core/index.ts';
import { QuorateError } from '../../src/errors.ts';
import { ElasticIpResource, loadEc2Client } from '../../src/resources/index.ts';
import { FakeEc2 } from '../executor/support/fake-ec2.ts';
import { makeSetting } from './support/setting.ts';

const OWN = 'eni-46561127';
const PEER = 'eni-77f0c1aa';
const STRANGER = 'eni-deadbeef';
const ALLOCATION = 'eipalloc-03a7e962';

let ec2: FakeEc2;
let endpoint: string;
let leaseIsValid: boolean;
beforeEach(async () => {
  process.env.AWS_ACCESS_KEY_ID = 'AKIDEXAMPLE';
  process.env.AWS_SECRET_ACCESS_KEY = 'secret';
  ec2 = new FakeEc2();
  endpoint = await ec2.listen();
  leaseIsValid = true;
});
afterEach(() => ec2.close());

async function address(options: { now?: () => number; endpoint?: string } = {}): Promise<ElasticIpResource> {
  const { Ec2Client } = await loadEc2Client();
  const url = options.endpoint ?? endpoint;
  const api = new Ec2Client({
    region: 'us-east-1',
    endpoint: url,
    localAddress: null,
    mayMutate: () => leaseIsValid,
  });
  const offset = options.now ?? (() => 0);
  return new ElasticIpResource({
    name: 'eip',
    allocation: ALLOCATION,
    ownInterface: OWN,
    memberInterfaces: new Set([PEER]),
    api,
    clock: { ...systemClock, now: () => instant(systemClock.now() + offset()) },
    random: () => 0,
    endpoint: url,
  });
}

const within = (ms: number, signal: AbortSignal = new AbortController().signal) => ({
  deadline: instant(systemClock.now() + ms),
  signal,
});
const codeOf = (error: unknown) => (error instanceof QuorateError ? error.code : String(error));
const failure = (acting: Promise<unknown>) => acting.then(() => 'none', codeOf);
const allowances = () => ec2.of('AssociateAddress').map((call) => call.parameters.get('AllowReassociation'));

describe('acquire', () => {
  it('d.0: after a lost lease it reassociates, explicitly, in one call', async () => {
    ec2.associate(PEER);
    await (await address()).acquire({ ...within(5000), previousReleased: false });
    expect(ec2.interfaceId).toBe(OWN);
    expect(allowances()).toEqual(['true']);
    expect(ec2.calledActions()).toEqual(['AssociateAddress']);
  });

  it('d.0: after a proven release it does not reassociate, explicitly', async () => {
    await (await address()).acquire({ ...within(5000), previousReleased: true });
    expect(allowances()).toEqual(['false']);
  });

  it('R2: after a proven release whose cloud side failed it reads, then takes the address from a member', async () => {
    ec2.associate(PEER);
    await (await address()).acquire({ ...within(5000), previousReleased: true });
    expect(ec2.interfaceId).toBe(OWN);
    expect(ec2.calledActions()).toEqual(['AssociateAddress', 'DescribeAddresses', 'AssociateAddress']);
    expect(allowances()).toEqual(['false', 'true']);
  });

  it('after a proven release it never robs a stranger', async () => {
    ec2.associate(STRANGER);
    const acquiring = (await address()).acquire({ ...within(5000), previousReleased: true });
    expect(await failure(acquiring)).toBe('address-held-elsewhere');
    expect(ec2.interfaceId).toBe(STRANGER);
    expect(allowances()).toEqual(['false']);
  });

  it('O2: a lost reply is unknown: it reads before acting again, and finds that it was executed', async () => {
    ec2.fail('AssociateAddress', { kind: 'lost-reply' });
    await (await address()).acquire({ ...within(5000), previousReleased: false });
    expect(ec2.calledActions()).toEqual(['AssociateAddress', 'DescribeAddresses']);
  });

  it('O2: a lost request is unknown too: it reads, then acts again; the SDK itself tries a mutation once', async () => {
    ec2.associate(PEER);
    ec2.fail(
      'AssociateAddress',
      { kind: 'lost-request' },
      { kind: 'error', status: 500, code: 'InternalError' },
    );
    await (await address()).acquire({ ...within(5000), previousReleased: false });
    expect(ec2.interfaceId).toBe(OWN);
    expect(ec2.calledActions()).toEqual([
      'AssociateAddress',
      'DescribeAddresses',
      'AssociateAddress',
      'DescribeAddresses',
      'AssociateAddress',
    ]);
    for (const call of ec2.of('AssociateAddress')) expect(call.attempt).toContain('max=1');
  });

  it('d.5: throttled: tries again after 50 to 200 ms, not after the second that the SDK would wait', async () => {
    ec2.fail('AssociateAddress', { kind: 'throttle' }, { kind: 'throttle' });
    await (await address()).acquire({ ...within(5000), previousReleased: false });
    const at = ec2.of('AssociateAddress').map((call) => call.at);
    expect(at).toHaveLength(3);
    for (const [index, time] of at.slice(1).entries()) {
      expect(time - (at[index] ?? 0)).toBeGreaterThanOrEqual(49);
      expect(time - (at[index] ?? 0)).toBeLessThan(900);
    }
  });

  it('d.5: throttled for the whole time says so', async () => {
    ec2.fail('AssociateAddress', ...Array.from({ length: 50 }, () => ({ kind: 'throttle' }) as const));
    expect(await failure((await address()).acquire({ ...within(2000), previousReleased: false }))).toBe(
      'cloud-throttled',
    );
  });

  it('O2: a silent endpoint costs at most the order: aborted at the end of the lease', async () => {
    ec2.fail('AssociateAddress', { kind: 'silent' });
    const lease = new AbortController();
    const startedAt = systemClock.now();
    const acquiring = failure(
      (await address()).acquire({ ...within(60_000, lease.signal), previousReleased: false }),
    );
    setTimeout(() => lease.abort(), 150);
    expect(await acquiring).toBe('order-ended');
    // The call's own time-out is 2 s.
    expect(systemClock.now() - startedAt).toBeLessThan(1800);
  });

  it('O2: without a valid lease no mutation leaves the process', async () => {
    leaseIsValid = false;
    expect(await failure((await address()).acquire({ ...within(1000), previousReleased: false }))).toBe(
      'order-ended',
    );
    expect(ec2.calls).toEqual([]);
  });

  it('a wrong id is final', async () => {
    ec2.fail('AssociateAddress', { kind: 'error', status: 400, code: 'InvalidAllocationID.NotFound' });
    expect(await failure((await address()).acquire({ ...within(5000), previousReleased: false }))).toBe(
      'cloud-refused',
    );
    expect(ec2.calls).toHaveLength(1);
  });

  it('an endpoint that refuses is named', async () => {
    const closed = new FakeEc2();
    const gone = await closed.listen();
    await closed.close();
    const eip = await address({ endpoint: gone });
    const error = await eip
      .acquire({ ...within(2000), previousReleased: false })
      .catch((caught: unknown) => caught);
    expect(codeOf(error)).toBe('cloud-unreachable');
    expect(String(error)).toContain(gone);
    expect(await eip.probe(within(1000))).toMatchObject({ probe: 'unknown' });
  });
});

describe('release', () => {
  it('complaint 4: gives up only its own association, by its id', async () => {
    const eip = await address();
    await eip.acquire({ ...within(5000), previousReleased: false });
    const own = ec2.associationId;
    expect(await eip.release({ ...within(1000), mode: 'planned' })).toBe('disassociated');
    expect(ec2.of('DisassociateAddress')[0]?.parameters.get('AssociationId')).toBe(own);
    expect(ec2.interfaceId).toBeNull();
  });

  it('complaint 4: an address that somebody else has by now stays there', async () => {
    const eip = await address();
    await eip.acquire({ ...within(5000), previousReleased: false });
    ec2.associate(PEER);
    await eip.release({ ...within(1000), mode: 'planned' });
    expect(ec2.interfaceId).toBe(PEER);
  });

  it('R2: abrupt leaves the cloud alone', async () => {
    const eip = await address();
    await eip.acquire({ ...within(5000), previousReleased: false });
    await eip.release({ ...within(1000), mode: 'abrupt' });
    expect(ec2.of('DisassociateAddress')).toEqual([]);
    expect(await eip.release({ ...within(1000), mode: 'planned' })).toBe('no association of our own');
  });

  it('R2: a broken API is reported, never an error', async () => {
    const eip = await address();
    await eip.acquire({ ...within(5000), previousReleased: false });
    ec2.fail('DisassociateAddress', { kind: 'error', status: 500, code: 'InternalError' });
    expect(await eip.release({ ...within(1000), mode: 'planned' })).toContain('InternalError');
  });
});

describe('probe', () => {
  it('H4: held, not-held, and unknown when throttled', async () => {
    const eip = await address();
    expect(await eip.probe(within(1000))).toMatchObject({ probe: 'not-held' });
    ec2.associate(OWN);
    expect(await eip.probe(within(1000))).toMatchObject({ probe: 'held' });
    ec2.fail('DescribeAddresses', { kind: 'error', status: 403, code: 'UnauthorizedOperation' });
    expect(await eip.probe(within(1000))).toMatchObject({ probe: 'unknown' });
  });

  it('d.0: a reading that disagrees right after our own success is unknown, later it is not-held', async () => {
    let laterMs = 0;
    const eip = await address({ now: () => laterMs });
    await eip.acquire({ ...within(5000), previousReleased: false });
    ec2.shownInterfaceId = PEER;
    expect((await eip.probe(within(1000))).probe).toBe('unknown');
    laterMs = 10_000;
    expect((await eip.probe(within(20_000))).probe).toBe('not-held');
  });
});

describe('with a private address of its own', () => {
  const PRIVATE = '10.0.1.50';
  function setUp() {
    const setting = makeSetting();
    const { cloud } = setting;
    cloud.interfaces.set(OWN, ['10.0.1.10', PRIVATE]);
    const options = { name: 'eip', allocation: ALLOCATION, ownInterface: OWN, privateIp: PRIVATE };
    const eip = new ElasticIpResource({
      ...options,
      memberInterfaces: new Set([PEER]),
      api: cloud,
      ...setting.common,
    });
    const here = (privateIp: string) => {
      cloud.address = { ...cloud.address, associationId: 'eipassoc-0', interfaceId: OWN, privateIp };
    };
    return { cloud, eip, here, within: setting.within };
  }

  it('it is associated with that one', async () => {
    const { cloud, eip, within } = setUp();
    await eip.acquire(within(5000));
    expect(cloud.of('associateAddress')).toMatchObject([{ interfaceId: OWN, privateIp: PRIVATE }]);
    expect((await eip.probe(within(1000))).probe).toBe('held');
  });

  it('at another address of the own interface it is not held, and is put right even after a proven release', async () => {
    const { cloud, eip, here, within } = setUp();
    here('10.0.1.10');
    expect(await eip.probe(within(1000))).toEqual({
      probe: 'not-held',
      detail: '127.80.0.1 is at the wrong address 10.0.1.10 here',
    });
    await eip.acquire({ ...within(5000), previousReleased: true });
    expect(cloud.address.privateIp).toBe(PRIVATE);
    expect(cloud.methods.slice(1)).toEqual(['associateAddress', 'describeAddress', 'associateAddress']);
  });

  it('O2: a lost call is taken for executed only at the right address', async () => {
    const { cloud, eip, here, within } = setUp();
    here('10.0.1.10');
    cloud.fail('associateAddress', { kind: 'lost-request' }, { kind: 'lost-reply' });
    expect(await eip.acquire(within(5000))).toBe('associated already');
    expect(cloud.address.privateIp).toBe(PRIVATE);
  });
});
