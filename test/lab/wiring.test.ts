/** The lab's wires and files as they are planned: every cable ends somewhere, nothing is given twice. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import {
  bootNetwork,
  bridgeOf,
  DATA_NODES,
  LINKS,
  macOf,
  NODES,
  PLACES,
  tapOf,
  WIRING,
} from '../../cluster/lab/hosts.ts';
import { planConfig, planController, planDrbd, ROUTER, TIMINGS } from '../../cluster/lab/plan.ts';
import { qemuArguments } from '../../cluster/lab/qemu/qemu.ts';
import { umlArguments } from '../../cluster/lab/uml.ts';
import { VpcController } from '../../cluster/local/controller/index.ts';
import { natRules, Router } from '../../cluster/network/router.ts';
import { deriveTiming } from '../../src/config/index.ts';

const pairs = NODES.flatMap((node) => LINKS.map((link) => ({ node, link })));

describe('the wires', () => {
  it('every card of a guest is a tap in a bridge of its own; management has one for all', () => {
    for (const { node, link } of pairs) {
      expect(WIRING.inside.switch).toContain(`tuntap add dev ${tapOf(link, node)} mode tap`);
      expect(WIRING.inside.switch).toContain(
        `link set ${tapOf(link, node)} master ${bridgeOf(link, node)} up`,
      );
    }
    const bridges = pairs.filter(({ link }) => link !== 'mgmt').map(({ node, link }) => bridgeOf(link, node));
    expect(new Set(bridges).size).toBe(6);
    expect(new Set(pairs.map(({ node, link }) => macOf(link, node))).size).toBe(9);
  });

  it('what is set up inside a namespace is there: bridges before their ports, cables from the plan of cables', () => {
    const cables = WIRING.cables((place) => `ns-${place}`);
    const ends = cables.flatMap((line) =>
      [...line.matchAll(/(\S+) netns (ns-\S+)/g)].map(([, port, ns]) => `${ns} ${port}`),
    );
    expect(new Set(ends).size).toBe(ends.length);
    for (const place of PLACES) {
      const made = new Set([
        'lo',
        ...ends.filter((end) => end.startsWith(`ns-${place} `)).map((end) => end.split(' ')[1]),
      ]);
      for (const line of WIRING.inside[place]) {
        const [verb, object, name] = line.split(' ');
        if (verb === 'link' && object === 'add') made.add(name);
        const tap = /^tuntap add dev (\S+)/.exec(line)?.[1];
        if (tap !== undefined) made.add(tap);
        const used = [/^link set (\S+)/, /dev (\S+)$/, /master (\S+)/].flatMap(
          (one) => one.exec(line)?.[1] ?? [],
        );
        for (const device of used) expect(made, line).toContain(device);
      }
    }
  });

  it('an interface has a name that the kernel takes', () => {
    const names = pairs.flatMap(({ node, link }) => [tapOf(link, node), bridgeOf(link, node)]);
    expect(names.filter((name) => name.length > 15)).toEqual([]);
  });

  it("a data node's second port is the cluster's: it gets nothing at boot", () => {
    for (const node of DATA_NODES) expect(bootNetwork(node).join('\n')).not.toContain('eth1');
    expect(bootNetwork('w').join('\n')).toContain('eth1');
  });
});

describe('the files', () => {
  const scripts = { start: '/x/start', stop: '/x/stop', probe: '/x/probe' };
  it.each([
    ['ext4', 'store', 'softdog'],
    ['raw', 'store', 'softdog'],
    ['zfs', 'store', 'off'],
    ['zfs', 'files', 'softdog'],
    ['replicated', 'store', 'softdog'],
    ['replicated', 'files', 'softdog'],
  ] as const)(
    '%s, %s, %s: the nodes have the same config but for themselves',
    (storage, services, watchdog) => {
      const plan = {
        cluster: 'lab',
        timing: 'product',
        storage,
        services,
        watchdog,
        channel: 'ssh',
      } as const;
      const texts = NODES.map((node) => {
        const { node: _own, admin: _admin, ...rest } = planConfig(plan, node, scripts);
        return stringify(rest);
      });
      expect(new Set(texts).size).toBe(1);
    },
  );

  it.each(Object.entries(TIMINGS))('%s: the timing is one that the product takes', (_name, timing) => {
    const { heartbeatMs, leaseMs, releaseMs, watchdogS } = timing;
    const settings = { heartbeatMs, leaseMs, releaseMs, guardMs: 25, clockErrorRate: 0.005, promiseMs: null };
    const derived = deriveTiming(settings as Parameters<typeof deriveTiming>[0], watchdogS * 1000);
    expect(derived.promiseMs).toBeGreaterThan(leaseMs + releaseMs);
  });

  it('DRBD is set up by the file that is shipped for hosts', () => {
    const shipped = readFileSync(
      fileURLToPath(new URL('../../cluster/host/r0.res', import.meta.url)),
      'utf8',
    );
    const ours = shipped
      .replace('10.0.1.10:7789', '10.0.11.10:7789')
      .replace('10.0.2.10:7789', '10.0.12.10:7789')
      .replaceAll('/dev/nvme1n1', '/dev/lab/data0');
    expect(planDrbd('product', 'ext4')).toBe(ours);
    // What the scenario of a failing disk does by hand.
    expect(ours).toContain('on-io-error detach;');
  });

  it('the controller takes its first state, and the router knows the port of each interface', () => {
    const { world } = new VpcController({
      state: planController(),
      seed: 1,
      listen: { host: '127.0.0.1', port: 0 },
      backend: (first) => new Router(ROUTER, first),
    });
    expect([...world.interfaces.keys()].sort()).toEqual(Object.keys(ROUTER.devices).sort());
    expect(natRules(world, ROUTER)).toContain('"svc-a" . 10.0.1.11');
  });

  describe('a guest gets its own disks and cards; a witness has no data disk', () => {
    const plan = {
      node: 'w',
      stateDisk: '/s',
      dataDisks: [],
      consoleLog: '/c',
      agentLog: '/a',
      folder: '/f',
      dist: '/d',
      checkout: '/o',
      watchdogS: 2,
      onReset: () => undefined,
    } as const;
    const holder = { ...plan, node: 'a', dataDisks: ['/data0', '/data1'] } as const;

    it('in user-mode Linux', () => {
      const packages = { kernel: '/k', modules: '/m', kit: '/kit' };
      expect(umlArguments(plan, packages)).toContain('ubd0=/s');
      expect(umlArguments(plan, packages).some((word) => word.startsWith('ubd1='))).toBe(false);
      expect(umlArguments(holder, packages)).toEqual(
        expect.arrayContaining([
          'ubd1=/data0',
          'ubd2=/data1',
          `eth0=tuntap,repl-a,${macOf('repl', 'a')}`,
          'lab_watchdog=2',
        ]),
      );
    });

    it('in QEMU, where the order is what gives them their names', () => {
      const image = { kernel: '/k', initramfs: '/i', root: '/r', kernelVersion: '6.1', zfsVersion: '2.1' };
      const after = (words: readonly string[], option: string): readonly string[] =>
        words.filter((_word, index) => words[index - 1] === option);
      const files = (words: readonly string[]): readonly string[] =>
        after(words, '-drive').map((drive) => /file=([^,]*)/.exec(drive)?.[1] ?? '');
      const ours = qemuArguments(holder, image);
      expect(files(ours)).toEqual(['/r', '/f/product.img', '/s', '/data0', '/data1']);
      expect(files(qemuArguments(plan, image))).toEqual(['/r', '/f/product.img', '/s']);
      // What all guests read, none of them writes.
      expect(after(ours, '-drive').map((drive) => drive.includes('readonly=on'))).toEqual([
        true,
        true,
        false,
        false,
        false,
      ]);
      expect(after(ours, '-netdev').map((card) => /ifname=([^,]*)/.exec(card)?.[1])).toEqual(
        LINKS.map((link) => tapOf(link, 'a')),
      );
      expect(after(ours, '-append')[0]).toContain('lab=a lab_watchdog=2');
      // A reset must end the process: whoever made the machine waits for that.
      expect(ours).toContain('-no-reboot');
    });
  });
});
