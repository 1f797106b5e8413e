/** O3 and complaint 13: what nothing guards is refused, in words; and what cannot be read is never taken for guarded. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { drbdCheck } from '../../src/doctor/drbd.ts';
import { parseDump, parseShowJson, parseShowText } from '../../src/doctor/drbd-settings.ts';
import { parseDrbdText } from '../../src/doctor/drbd-text.ts';
import { CAPTURES } from '../resources/drbd-captures.ts';
import { brief, configHolding, contextOf, exited, type FakeHost, one } from './support.ts';

const OURS = 'quorate fence-peer --config /etc/quorate/quorate.yaml';

/** `drbdadm dump` of drbd-utils 9.22, as captured; the handler stands under "common". */
const dump9 = ({ options = '', net = '', handlers = `fence-peer "${OURS}";`, hosts = 3 } = {}): string =>
  `# /etc/drbd.conf
global {
    usage-count no;
}

common {
    handlers {
        ${handlers}
    }
}

# resource r0 on nodea: not ignored, not stacked
# defined at /etc/drbd.d/r0.res:3
resource r0 {
${['nodea', 'nodeb', 'witness']
  .slice(0, hosts)
  .map(
    (name, id) => `    on ${name} {
        node-id ${id};
        volume 0 {
            device       /dev/drbd0 minor 0;
            disk         ${name === 'witness' ? 'none' : '/dev/nvme1n1'};
            meta-disk    internal;
        }
        address          ipv4 10.0.${id + 1}.10:7789;
    }`,
  )
  .join('\n')}
    connection-mesh {
        hosts nodea nodeb witness;
    }
    options {
        ${options}
    }
    net {
        ping-int           1;
        ${net}
    }
}
`;
const FENCED = { options: 'auto-promote      no;', net: 'fencing          resource-and-stonith;' };
const QUORUM = { options: 'auto-promote no; quorum majority; on-no-quorum io-error;', handlers: '' };

/** `drbdadm-84 dump`, as captured: `fencing` stands under "disk". */
const DUMP_84 = `# /etc/drbd.conf
common {
    net {
        protocol           C;
    }
    handlers {
        fence-peer       "/usr/bin/${OURS}";
    }
}

# resource r0 on nodea: not ignored, not stacked
resource r0 {
    on nodea {
        device           /dev/drbd0 minor 0;
        disk             /dev/vdb;
        meta-disk        internal;
        address          ipv4 127.0.0.1:7788;
    }
    on nodeb {
        device           /dev/drbd0 minor 0;
        disk             /dev/vdb;
        address          ipv4 10.77.1.2:7788;
    }
    net {
        ping-int           1;
        allow-two-primaries  no;
    }
    disk {
        fencing          resource-and-stonith;
        on-io-error      detach;
    }
}
`;

/** `drbdsetup show r0` of a kernel 8.4, as captured (lab.md); the fencing added. */
const SHOW_84 = `resource r0 {
    options {
    }
    net {
        timeout         	20; # 1/10 seconds
        connect-int     	1; # seconds
    }
    _remote_host {
        address			ipv4 10.77.1.2:7788;
    }
    _this_host {
        address			ipv4 10.77.1.1:7788;
        volume 0 {
            device			minor 0;
            disk			"/dev/ubda";
            meta-disk			internal;
            disk {
                resync-rate     	102400k; # bytes/second
                fencing         	resource-and-stonith;
            }
        }
    }
}
`;

/** `drbdsetup show --show-defaults --json r0` of DRBD 9, in the shape that drbdsetup.c prints. */
const showJson = (options: object = {}, net: object = {}, connections = 2): string =>
  JSON.stringify([
    {
      resource: 'r0',
      options: {
        'cpu-mask': '',
        'on-no-data-accessible': 'io-error',
        'auto-promote': false,
        quorum: 'off',
        'on-no-quorum': 'suspend-io',
        'on-suspended-primary-outdated': 'disconnect',
        ...options,
      },
      _this_host: {
        'node-id': 0,
        volumes: [{ volume_nr: 0, device_minor: 0, disk: { 'on-io-error': 'detach' } }],
      },
      connections: Array.from({ length: connections }, (_, index) => ({
        paths: [],
        net: { protocol: 'C', fencing: 'dont-care', 'allow-two-primaries': false, ...net },
        _peer_node_id: index + 1,
      })),
    },
  ]);

const SHOW = 'drbdsetup show --show-defaults --json r0';
const EVENTS = 'drbdsetup events2 --now r0';
const look = (commands: NonNullable<FakeHost['commands']>, version = '9.2.4') =>
  drbdCheck.run(
    contextOf(
      { commands, files: { '/proc/drbd': `version: ${version} (api:2/proto:86-122)\n` } },
      { config: configHolding('name: block, kind: drbd, resource: r0') },
    ),
  );
const byConfig = (parts: Parameters<typeof dump9>[0]) => look({ 'drbdadm dump': dump9(parts) });

describe('the guard', () => {
  it.each([
    ['fencing with our handler', FENCED, 'ok', 'quorate is its handler'],
    ['quorum of three', QUORUM, 'ok', 'quorum majority'],
    ['quorum of two', { ...QUORUM, hosts: 2 }, 'warning', 'with 2 hosts'],
    [
      'nothing at all',
      { options: 'auto-promote no;' },
      'failed',
      "fencing is 'dont-care', and quorum is 'off'",
    ],
    ['fencing resource-only', { ...FENCED, net: 'fencing resource-only;' }, 'failed', 'does not freeze I/O'],
    ['no handler', { ...FENCED, handlers: '' }, 'failed', 'no handler'],
    [
      "somebody else's handler",
      { ...FENCED, handlers: 'fence-peer /usr/lib/drbd/crm-fence-peer.9.sh;' },
      'failed',
      'crm-fence-peer',
    ],
    [
      'a name that only looks like ours',
      { ...FENCED, handlers: 'fence-peer "/opt/notquorate fence-peer";' },
      'failed',
      'notquorate',
    ],
    [
      'quorum that lets I/O go on',
      { options: 'quorum majority; on-no-quorum ignore;', net: '' },
      'failed',
      'on-no-quorum',
    ],
    ['a quorum of one', { options: 'quorum 1;', net: '' }, 'failed', "quorum is '1'"],
  ])('%s', async (_what, parts, result, words) => {
    const finding = one(await byConfig(parts), 'r0 guard');
    expect(finding.result).toBe(result);
    expect(finding.detail).toContain(words);
  });

  it.each([
    `/usr/bin/${OURS}`,
    '/usr/bin/node /opt/quorate/dist/quorate.mjs fence-peer --config x',
    '/opt/quorate/scripts/quorate fence-peer --config=x',
  ])('our handler, called as %s', async (command) => {
    const finding = one(await byConfig({ ...FENCED, handlers: `fence-peer "${command}";` }), 'r0 guard');
    expect(finding.result).toBe('ok');
  });

  it('a handler of the resource itself counts, not that of "common"', async () => {
    const own = dump9(FENCED).replace(
      '    connection-mesh',
      '    handlers { fence-peer "/bin/true"; }\n    connection-mesh',
    );
    expect(one(await look({ 'drbdadm dump': own }), 'r0 guard').result).toBe('failed');
  });
});

describe('the other settings', () => {
  it.each([
    ['protocol A', { ...FENCED, net: `${FENCED.net} protocol A;` }, 'r0 protocol', 'failed'],
    ['protocol C', { ...FENCED, net: `${FENCED.net} protocol C;` }, 'r0 protocol', 'ok'],
    ['auto-promote', { ...FENCED, options: 'auto-promote yes;' }, 'r0 promotion', 'failed'],
    ['auto-promote by default', { ...FENCED, options: '' }, 'r0 promotion', 'failed'],
    ['two primaries', { ...FENCED, net: `${FENCED.net} allow-two-primaries yes;` }, 'r0 promotion', 'failed'],
    [
      'I/O that hangs',
      { ...FENCED, options: 'auto-promote no; on-no-data-accessible suspend-io;' },
      'r0 suspension',
      'warning',
    ],
    [
      'suspended for ever',
      { ...QUORUM, options: 'auto-promote no; quorum majority; on-no-quorum suspend-io;' },
      'r0 suspension',
      'warning',
    ],
  ])('%s', async (_what, parts, subject, result) => {
    expect(one(await byConfig(parts), subject).result).toBe(result);
  });
});

describe('the kernel', () => {
  it('counts, and a forgotten adjust is seen', async () => {
    const findings = await look({
      'drbdadm dump': dump9(FENCED),
      [SHOW]: showJson({}, { fencing: 'dont-care' }),
    });
    expect(one(findings, 'r0 guard')).toMatchObject({ result: 'failed' });
    expect(one(findings, 'r0 adjustment')).toMatchObject({ result: 'warning' });
    expect(one(findings, 'r0 adjustment').detail).toContain('fencing');
  });

  it('as its config says', async () => {
    const findings = await look({
      'drbdadm dump': dump9(FENCED),
      [SHOW]: showJson({}, { fencing: 'resource-and-stonith' }),
      [EVENTS]: CAPTURES.nine,
    });
    expect(brief(findings)).toEqual([
      'ok r0 guard',
      'ok r0 protocol',
      'ok r0 promotion',
      'ok r0 suspension',
      'ok r0 connection',
    ]);
  });

  it('of which one connection is different', async () => {
    const json = JSON.parse(showJson({}, { fencing: 'resource-and-stonith' }));
    json[0].connections[1].net.fencing = 'dont-care';
    const findings = await look({ 'drbdadm dump': dump9(FENCED), [SHOW]: JSON.stringify(json) });
    expect(one(findings, 'r0 guard')).toMatchObject({ result: 'failed' });
  });

  it('8.4, which knows no --json', async () => {
    const commands = {
      'drbdadm dump': DUMP_84,
      [SHOW]: exited(20, '', "show: unrecognized option '--json'"),
      'drbdsetup show r0': SHOW_84,
      [EVENTS]: CAPTURES.healthyPrimary,
    };
    expect(brief(await look(commands, '8.4.11'))).toEqual([
      'ok r0 guard',
      'ok r0 protocol',
      'ok r0 promotion',
      'ok r0 suspension',
      'ok r0 connection',
    ]);
    const open = { ...commands, 'drbdsetup show r0': SHOW_84.replace(/ +fencing .*\n/, '') };
    expect(one(await look(open, '8.4.11'), 'r0 guard').result).toBe('failed');
  });

  it.each([
    ['down', exited(10, '', 'r0: No such resource')],
    ['without connections', showJson({}, {}, 0)],
    ['another resource', showJson().replace('"r0"', '"r1"')],
    ['cut off', showJson().slice(0, 200)],
  ])('%s: the config is judged, and the kernel is unknown', async (_what, said) => {
    const findings = await look({ 'drbdadm dump': dump9(FENCED), [SHOW]: said });
    expect(one(findings, 'r0 guard')).toMatchObject({ result: 'ok' });
    expect(one(findings, 'r0 guard').detail).toContain('in its config');
    expect(one(findings, 'r0 kernel').result).toBe('unknown');
  });
});

describe('what cannot be read', () => {
  it.each([
    ['no tools', {}],
    ['a refusal', { 'drbdadm dump': exited(10, '', 'r0.res:7: Parse error') }],
    ['a time-out', { 'drbdadm dump': { kind: 'timed-out', limitMs: 3000 } as const }],
    ['garbage', { 'drbdadm dump': '\u0000\u0001{{{;' }],
    ['nothing', { 'drbdadm dump': '' }],
  ])('%s: unknown', async (_what, commands) => {
    expect(brief(await look(commands))).toEqual([
      'unknown r0 guard',
      'unknown r0 config',
      'unknown r0 kernel',
    ]);
  });

  it('the handler alone: fencing without it is unknown', async () => {
    const findings = await look({ [SHOW]: showJson({}, { fencing: 'resource-and-stonith' }) });
    expect(one(findings, 'r0 guard').result).toBe('unknown');
  });

  it('no resource is no concern', async () => {
    expect(brief(await drbdCheck.run(contextOf({}, { config: configHolding() })))).toEqual([
      'skipped resources',
    ]);
  });

  it('a text that is cut off, or changed at random, is never taken for another guard', () => {
    const whole = parseDump(dump9(FENCED), 'r0');
    expect(whole?.settings.fencing).toEqual(['resource-and-stonith']);
    const text = dump9({ ...FENCED, net: '' });
    fc.assert(
      fc.property(fc.nat(text.length - 4), (at) => {
        // Without its end a block is open: nothing of it is believed.
        expect(parseDump(text.slice(0, at), 'r0')).toBeNull();
      }),
    );
    fc.assert(
      fc.property(
        fc.nat(text.length - 1),
        fc.constantFrom('{', '}', ';', '"', '#', '\n', 'x'),
        (at, sign) => {
          const settings = parseDump(`${text.slice(0, at)}${sign}${text.slice(at + 1)}`, 'r0')?.settings;
          expect(settings?.fencing ?? []).not.toContain('resource-and-stonith');
        },
      ),
      { numRuns: 500 },
    );
  });

  it('any text gives a tree or nothing, and in time', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 400 }), (text) => {
        parseDrbdText(text);
        parseShowText(text, 'r0');
        expect(parseShowJson(text, 'r0')).toBeNull();
      }),
    );
    expect(parseDrbdText('a {'.repeat(1000))).toBeNull();
    expect(parseDrbdText('x'.repeat(300_000))).toBeNull();
    expect(parseDrbdText(`a ${'"x" '.repeat(50_000)};`)).not.toBeNull();
  });

  it('reads what stands in quotes as one word', () => {
    const tree = parseDrbdText('handlers { before-resync-target "x y; z {"; # "not } this"\n}');
    expect(tree?.blocks[0]?.values.get('before-resync-target')).toBe('x y; z {');
    expect(parseDrbdText('a "open; }')).toBeNull();
    expect(parseDrbdText('a; } b;')).toBeNull();
    expect(parseDrbdText('a')).toBeNull();
  });
});
