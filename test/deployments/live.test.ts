/**
 * The archive, the installer and the units on a host with real systemd: what happens to a node when its processes are killed,
 * restarted and stopped. What is held is a mount: one made in a namespace of its unit would not be the host's.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { testTls } from '../support/pki.ts';
import { ROOT } from './support/files.ts';
import { Guest, whyNoGuest } from './support/guest.ts';

const why = whyNoGuest();
const BUILD_LIMIT_MS = 300_000;
const LIMIT_MS = 60_000;

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
const quorate = (command: string): string => `quorate ${command} --config /etc/quorate/quorate.yaml`;

describe.skipIf(why !== null)(`a host with systemd${why === null ? '' : ` (${why})`}`, () => {
  let guest: Guest;
  const property = (unit: string, name: string): Promise<string> =>
    guest.run(`systemctl show -P ${name} quorate-${unit}.service`);
  const kill = (unit: string, signal = 'KILL'): Promise<string> =>
    guest.run(`systemctl kill --kill-whom=main --signal=${signal} quorate-${unit}.service`);
  /** Of the executor that has the lock. */
  const executorProcess = async (): Promise<number> =>
    (JSON.parse(await guest.run('cat /var/lib/quorate/executor.lock')) as { pid: number }).pid;
  const executorUnit = async (): Promise<string> => {
    const groups = await guest.run(`cat /proc/${await executorProcess()}/cgroup`);
    return /quorate-\w+\.service/.exec(groups)?.[0] ?? groups;
  };
  const epoch = async (): Promise<number | null> =>
    (JSON.parse(await guest.run(quorate('status --json'))) as { epoch: number | null }).epoch;
  /** In a new tenure; the time between the two may be too short to be seen from here. */
  const heldAfter = async (before: number | null): Promise<void> => {
    const end = Date.now() + LIMIT_MS;
    while (((await epoch().catch(() => null)) ?? 0) <= (before ?? 0))
      if (Date.now() > end) throw new Error(`no tenure follows that of epoch ${before}`);
    await guest.until(HELD, LIMIT_MS);
  };

  beforeAll(async () => {
    const directory = mkdtempSync(join(tmpdir(), 'quorate-package-'));
    try {
      const line = execFileSync(join(ROOT, 'cluster/package.sh'), [directory], { encoding: 'utf8' });
      const archive = readFileSync(line.trim().split(/\s+/)[1] ?? '');
      guest = await Guest.boot();
      await guest.write('/root/quorate.tgz', archive);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
    // As docs/install.md says.
    await guest.run(
      'mkdir -p /opt/quorate && tar -xzf /root/quorate.tgz -C /opt/quorate --strip-components=1',
    );
    await guest.run('/opt/quorate/cluster/host/install.sh');
    const { ca, cert, key } = await testTls('nas-prod', 'a');
    await guest.write('/etc/quorate/ca.pem', ca);
    await guest.write('/etc/quorate/node.pem', cert);
    await guest.write('/etc/quorate/node.key', key);
    await guest.write('/etc/quorate/quorate.yaml', CONFIG);
    // There is no journal here.
    for (const unit of ['agent', 'executor'])
      await guest.write(
        `/etc/systemd/system/quorate-${unit}.service.d/log.conf`,
        `[Service]\nStandardOutput=append:/root/${unit}.log\nStandardError=append:/root/${unit}.log\n`,
      );
    await guest.run('systemctl daemon-reload');
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

  it('is installed from the archive, started, and holds', { timeout: LIMIT_MS }, async () => {
    await guest.run('systemctl enable quorate.target quorate-executor quorate-agent');
    await guest.run('systemctl start quorate.target');
    await guest.until(quorate('status'), LIMIT_MS);
    await guest.run(quorate('bootstrap --in-sync a'));
    await guest.until(HELD, LIMIT_MS);
    expect(await executorUnit()).toBe('quorate-executor.service');
    expect(await property('agent', 'NRestarts')).toBe('0');
  });

  it('its executor outlives a killed agent, releases, and serves the next one (O1)', {
    timeout: LIMIT_MS,
  }, async () => {
    const [executor, before] = [await property('executor', 'MainPID'), await epoch()];
    await kill('agent');
    await heldAfter(before);
    expect(await property('executor', 'MainPID')).toBe(executor);
  });

  it('an executor that dies is followed by one of the agent, which its unit leaves alone', {
    timeout: LIMIT_MS,
  }, async () => {
    const first = await epoch();
    await kill('executor');
    await heldAfter(first);
    expect(await executorUnit()).toBe('quorate-agent.service');
    const [before, restarts] = [await epoch(), Number(await property('executor', 'NRestarts'))];
    // It tries every two seconds, and each time it must find the place taken and give way, its ExecStopPost too.
    await guest.until(`[ $(systemctl show -P NRestarts quorate-executor) -gt ${restarts + 2} ]`, LIMIT_MS);
    expect(await epoch()).toBe(before);
    await guest.run(HELD);
  });

  it('that one too outlives a killed agent, in whose unit it runs (O1)', { timeout: LIMIT_MS }, async () => {
    const [executor, before] = [await executorProcess(), await epoch()];
    await kill('agent');
    await heldAfter(before);
    expect(await executorProcess()).toBe(executor);
  });

  it('the next restart of the agent puts it back into its unit', { timeout: LIMIT_MS }, async () => {
    await guest.run('systemctl restart quorate-agent');
    await guest.until(HELD, LIMIT_MS);
    expect(await executorUnit()).toBe('quorate-executor.service');
  });

  it('the executor cannot be stopped alone', async () => {
    expect(await guest.say('systemctl stop quorate-executor')).toContain('Operation refused');
    await guest.run(HELD);
  });

  it('both dead at once: what is held is given up before a new agent runs', {
    timeout: LIMIT_MS,
  }, async () => {
    // So that nobody but the executor's unit can have done it.
    const dropIn = '/run/systemd/system/quorate-agent.service.d/never.conf';
    await guest.write(dropIn, '[Service]\nRestart=no\n');
    await guest.run('systemctl daemon-reload');
    // Stopped first, so that it cannot release; and the agent gone before it, which would see to it.
    await kill('executor', 'STOP');
    await kill('agent');
    await guest.until('! systemctl is-active quorate-agent', LIMIT_MS);
    await guest.run(HELD);
    await kill('executor');
    await guest.until(NOT_HELD, LIMIT_MS);
    await guest.until('grep -q "nothing is held on a" /root/executor.log', LIMIT_MS);
    await guest.run(
      `rm ${dropIn} && systemctl daemon-reload && systemctl start quorate.target quorate-agent`,
    );
    await guest.until(HELD, LIMIT_MS);
  });

  it('stopped, it holds nothing and nothing of it runs', { timeout: LIMIT_MS }, async () => {
    await guest.run('systemctl stop quorate.target');
    await guest.run(NOT_HELD);
    await guest.run('! pgrep -f [/]opt/quorate/dist');
    // What was stopped in order did not fail.
    expect(await property('agent', 'Result')).toBe('success');
  });

  it('and starts again', { timeout: LIMIT_MS }, async () => {
    await guest.run('systemctl start quorate.target');
    await guest.until(HELD, LIMIT_MS);
    const audit = await guest.run(quorate('audit'));
    expect(audit).toContain('no rule is broken');
  });
});
