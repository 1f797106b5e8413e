/** The executor as a real process with two threads, against stand-ins for DRBD, EC2, a service and the watchdog. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { epoch } from '../../src/core/index.ts';
import { type Bundle, bundleExecutor } from './support/bundle.ts';
import { makePki, TestNode } from './support/node.ts';

let bundle: Bundle;
let node: TestNode;
beforeAll(async () => {
  bundle = await bundleExecutor();
  await makePki();
});
afterAll(() => bundle.remove());
afterEach(() => node.stop());

describe('a tenure', () => {
  it('takes everything, and gives everything back in the reverse order (R1)', async () => {
    node = new TestNode({ program: bundle.program });
    const client = await node.start();
    const ready = await node.event('ready');
    expect(ready.evidence).toContain('role Secondary');
    const taken = await node.take(7);
    console.log(JSON.stringify(taken));
    expect(node.drbd.role).toBe('Primary');
    expect(node.ec2.interfaceId).toBe('eni-46561127');
    client.release(epoch(7), 'planned');
    const released = await node.event('released');
    console.log(JSON.stringify(released));
    expect(released).toMatchObject({ epoch: 7, mode: 'planned' });
    expect(node.drbd.role).toBe('Secondary');
    expect(node.ec2.interfaceId).toBeNull();
  });
});
