/**
 * The Debian package on a host with real systemd that holds: installing enables nothing, an upgrade leaves what runs alone, a removal
 * releases first, and does not happen where that is not certain.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { issueClient } from '../../src/peer/index.ts';
import { testAuthority, testTls } from '../support/pki.ts';
import { asVersion, makePackage, whyNoPackage } from './support/debian-package.ts';
import { Guest, whyNoGuest } from './support/guest.ts';

const why = whyNoPackage() ?? whyNoGuest();
const BUILD_LIMIT_MS = 300_000;
const LIMIT_MS = 60_000;
/** A node without another to hand over to takes its 20 s to stop. */
const STORY_LIMIT_MS = 2 * LIMIT_MS;

const CONFIG = `cluster: nas-prod
node: a
data_dir: /var/lib/quorate
members:
  a: {peer: 127.0.0.1:7400}
tls: {ca: ca.pem, cert: node.pem, key: node.key}
admin: {listen: 127.0.0.1:7401}
watchdog: {mode: off}
resources:
  - {name: srv, kind: service, start: mount -t tmpfs none /srv, stop: umount /srv, probe: mountpoint -q /srv || exit 1}
`;
const HELD = 'mountpoint -q /srv';
const NOT_HELD = '! mountpoint -q /srv';
/** This machine may have Node.js without Debian's package of it. */
const INSTALL = 'dpkg --force-depends --force-confold -i';
const quorate = (command: string): string => `quorate ${command} --config /etc/quorate/quorate.yaml`;

describe.skipIf(why !== null)(`a host with the package${why === null ? '' : ` (${why})`}`, () => {
  let guest: Guest;
  let oldBuild = '';
  const processOf = (unit: string): Promise<string> =>
    guest.run(`systemctl show -P MainPID quorate-${unit}.service`);
  const commandOf = async (pid: string): Promise<string> =>
    (await guest.run(`tr '\\0' ' ' < /proc/${pid}/cmdline`)).trim();
  const lockOwner = async (): Promise<string> =>
    String((JSON.parse(await guest.run('cat /var/lib/quorate/executor.lock')) as { pid: number }).pid);
  const epoch = async (): Promise<number | null> =>
    (JSON.parse(await guest.run(quorate('status --json'))) as { epoch: number | null }).epoch;
  const versions = async (): Promise<string[]> =>
    (await guest.run('ls /usr/lib/quorate/versions')).split('\n').sort();

  beforeAll(async () => {
    const directory = mkdtempSync(join(tmpdir(), 'quorate-package-'));
    try {
      const file = makePackage(directory);
      const next = asVersion(file, '0.99.0', directory);
      guest = await Guest.boot();
      await guest.write('/root/old.deb', readFileSync(file));
      await guest.write('/root/next.deb', readFileSync(next));
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }, BUILD_LIMIT_MS);
  afterAll(async () => guest?.end(), LIMIT_MS);

  // One story: after a step that failed the next ones would only fail too.
  let hasFailed = false;
  beforeEach((context) => context.skip(hasFailed, 'an earlier step has failed'));
  afterEach(async ({ task }) => {
    if (task.result?.state !== 'fail') return;
    hasFailed = true;
    const logs =
      'systemctl --no-pager status quorate-agent quorate-executor; tail -n 30 /root/agent.log /root/executor.log';
    process.stderr.write(`${await guest.say(logs)}\n`);
  });

  it('is installed: group and directories are there, nothing runs or will', {
    timeout: STORY_LIMIT_MS,
  }, async () => {
    expect(await guest.run(`${INSTALL} /root/old.deb`)).toContain('nothing was started or enabled');
    expect(await guest.run('stat -c "%a %U:%G" /etc/quorate /var/lib/quorate')).toBe(
      '750 root:quorate\n700 root:root',
    );
    for (const unit of ['quorate.target', 'quorate-agent', 'quorate-executor']) {
      expect(await guest.say(`systemctl is-active ${unit}`)).toBe('inactive');
      expect(await guest.say(`systemctl is-enabled ${unit}`)).toBe('disabled');
    }
    oldBuild = await guest.run('cat /usr/lib/quorate/current/build');
  });

  it('runs and holds, once it is told to', { timeout: STORY_LIMIT_MS }, async () => {
    const { ca, cert, key } = await testTls('nas-prod', 'a');
    await guest.write('/etc/quorate/ca.pem', ca);
    await guest.write('/etc/quorate/node.pem', cert);
    await guest.write('/etc/quorate/node.key', key);
    await guest.run('chmod 600 /etc/quorate/node.key');
    await guest.write('/etc/quorate/quorate.yaml', CONFIG);
    // There is no journal here.
    for (const unit of ['agent', 'executor'])
      await guest.write(
        `/etc/systemd/system/quorate-${unit}.service.d/log.conf`,
        `[Service]\nStandardOutput=append:/root/${unit}.log\nStandardError=append:/root/${unit}.log\n`,
      );
    await guest.run(
      'systemctl daemon-reload && systemctl enable quorate.target quorate-executor quorate-agent',
    );
    await guest.run('systemctl start quorate.target');
    await guest.until(quorate('status'), LIMIT_MS);
    await guest.run(quorate('bootstrap --in-sync a'));
    await guest.until(HELD, LIMIT_MS);
    for (const unit of ['agent', 'executor'])
      expect(await commandOf(await processOf(unit))).toContain(
        ` /usr/lib/quorate/versions/${oldBuild}/dist/`,
      );
  });

  it('people of the group ask with a certificate of their own, others cannot', {
    timeout: STORY_LIMIT_MS,
  }, async () => {
    const { certificate, key } = await issueClient(await testAuthority('nas-prod'), 'viewer', 'eve');
    await guest.write('/tmp/eve.pem', certificate);
    await guest.write('/tmp/eve.key', key);
    await guest.run('chown nobody /tmp/eve.key && chmod 600 /tmp/eve.key');
    const ask =
      'quorate status --address 127.0.0.1:7401 --tls-ca /etc/quorate/ca.pem --tls-cert /tmp/eve.pem --tls-key /tmp/eve.key';
    const asNobody = (groups: string): string => `setpriv --reuid nobody --regid nogroup ${groups} ${ask}`;
    expect(await guest.run(asNobody('--groups quorate'))).toContain('a holds');
    await expect(guest.run(asNobody('--clear-groups'))).rejects.toThrow('code 2');
  });

  it('an upgrade leaves the holder alone, and says what to do', { timeout: STORY_LIMIT_MS }, async () => {
    const before = [await processOf('agent'), await processOf('executor'), await epoch()];
    const said = await guest.run(`${INSTALL} /root/next.deb`);
    expect(said).toContain(`goes on running ${oldBuild}`);
    expect(said).toContain('systemctl restart quorate.target');
    await guest.run(HELD);
    expect([await processOf('agent'), await processOf('executor'), await epoch()]).toEqual(before);
    expect(await guest.run('cat /usr/lib/quorate/current/build')).toBe('0.99.0-next');
    expect(await versions()).toEqual([oldBuild, '0.99.0-next'].sort());
  });

  it('an agent of before the upgrade starts an executor of its own version (O1)', {
    timeout: STORY_LIMIT_MS,
  }, async () => {
    const before = await epoch();
    // Not the unit's: that one is of the new version.
    await guest.write('/run/systemd/system/quorate-executor.service.d/never.conf', '[Service]\nRestart=no\n');
    await guest.run('systemctl daemon-reload');
    await guest.run('systemctl kill --kill-whom=main --signal=KILL quorate-executor');
    const end = Date.now() + LIMIT_MS;
    while (((await epoch().catch(() => null)) ?? 0) <= (before ?? 0))
      if (Date.now() > end) throw new Error('no new tenure');
    await guest.until(HELD, LIMIT_MS);
    expect(await commandOf(await lockOwner())).toContain(
      ` /usr/lib/quorate/versions/${oldBuild}/dist/executor.mjs`,
    );
    await guest.run(
      'rm /run/systemd/system/quorate-executor.service.d/never.conf && systemctl daemon-reload',
    );
  });

  it('a restart in order runs the new one, and the old one goes', { timeout: STORY_LIMIT_MS }, async () => {
    await guest.run('systemctl restart quorate.target');
    await guest.until(HELD, LIMIT_MS);
    for (const unit of ['agent', 'executor'])
      expect(await commandOf(await processOf(unit))).toContain('/versions/0.99.0-next/dist/');
    expect(await guest.run(`${INSTALL} /root/next.deb`)).not.toContain('goes on running');
    expect(await versions()).toEqual(['0.99.0-next']);
    await guest.run(HELD);
  });

  it('is not removed where it is not certain that nothing is held', { timeout: STORY_LIMIT_MS }, async () => {
    await guest.run(
      'cp /etc/quorate/quorate.yaml /root/ && sed -i s/cluster:/clutter:/ /etc/quorate/quorate.yaml',
    );
    const said = await guest.say('dpkg -r quorate');
    expect(said).toContain('not removed: it is not certain that this node holds nothing');
    // Wanted away, but there: dpkg(1).
    expect(await guest.run('dpkg -s quorate')).toMatch(/^Status: deinstall ok installed$/m);
    await guest.run('quorate --version && systemctl is-enabled quorate.target');
    // Without its target: a removal must stop it all the same.
    await guest.run('cp /root/quorate.yaml /etc/quorate/ && systemctl start quorate-agent');
    await guest.until(HELD, LIMIT_MS);
  });

  it('is removed from the holder: it releases first, and nothing runs', {
    timeout: STORY_LIMIT_MS,
  }, async () => {
    await guest.run(HELD);
    expect(await guest.say('systemctl is-active quorate.target')).toBe('inactive');
    await guest.run('dpkg -r quorate');
    await guest.run(NOT_HELD);
    await guest.run('! pgrep -f [/]usr/lib/quorate');
    await guest.run('! test -e /usr/lib/quorate && ! test -e /usr/bin/quorate');
    // Installed again, it does not start at the next boot.
    expect(await guest.say('find /etc/systemd/system -name "quorate*" -type l')).toBe('');
  });

  it('purged, keeps log and keys, and says where', { timeout: STORY_LIMIT_MS }, async () => {
    const said = await guest.run('dpkg -P quorate');
    expect(said).toContain('/var/lib/quorate is kept');
    await guest.run('test -e /var/lib/quorate/executor.lock && test -e /etc/quorate/node.key');
  });
});
