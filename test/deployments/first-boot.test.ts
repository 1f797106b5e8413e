/**
 * The script that the AWS stack runs on a new host, on a host of its own. The cloud around it is played by small scripts: the
 * metadata service, `aws`, the network, `apt-get`. What is left of it are files, and those are looked at.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { testTls } from '../support/pki.ts';
import { template, writtenFiles } from './support/aws-host.ts';
import { makePackage, whyNoPackage } from './support/debian-package.ts';
import { text } from './support/files.ts';
import { Guest, whyNoGuest } from './support/guest.ts';

const why = whyNoPackage() ?? whyNoGuest();
const BUILD_LIMIT_MS = 300_000;
const LIMIT_MS = 120_000;
const SCRIPT = '/usr/local/sbin/quorate-first-boot';

/** Answers as EC2's metadata service does: lists end their lines with a slash. */
const CURL = `#!/bin/bash
url=\${@: -1}
case $url in
  */api/token) echo TOKEN ;;
  */tags/instance/quorate:node) cat /root/played-node ;;
  */network/interfaces/macs/) printf '0e:00:00:00:00:01/\\n0e:00:00:00:00:02/\\n' ;;
  */0e:00:00:00:00:01/device-number) echo 0 ;;
  */0e:00:00:00:00:02/device-number) echo 1 ;;
  https://files.example/*) while [ "$1" != -o ]; do shift; done; cp /root/package.deb "$2" ;;
  *) exit 22 ;;
esac
`;
/** The other instance is not there at once. */
const AWS = `#!/bin/bash
case $* in
  *quorate:node,Values=a*) echo i-0a1b2c3d4e5f60001 ;;
  *quorate:node,Values=b*) [ -e /root/asked ] && echo i-0a1b2c3d4e5f60002 || touch /root/asked ;;
esac
`;
/** Of Debian's packages only the names; ours is installed, by the first who asks. This machine may have Node.js without Debian's package of it. */
const APT = `#!/bin/bash
echo "$@" >> /root/packages
mkdir -p /etc/drbd.d /etc/exports.d /etc/nfs.conf.d
case \${@: -1} in
  /*.deb) [ -e /usr/lib/quorate/current ] || exec dpkg --force-depends --force-confold -i "\${@: -1}" ;;
esac
`;
const NOTHING = '#!/bin/bash\n';

describe.skipIf(why !== null)(`the first boot on AWS${why === null ? '' : ` (${why})`}`, () => {
  let guest: Guest;
  let file = Buffer.alloc(0);
  const sha256 = (): string => createHash('sha256').update(file).digest('hex');

  /** As cloud-init leaves a host to the script. */
  const prepare = async (node: string, checksum: string): Promise<void> => {
    await guest.run(
      'rm -rf /etc/quorate /etc/drbd.d/r0.res /etc/exports.d /root/packages /root/asked /root/units',
    );
    await guest.write('/root/played-node', `${node}\n`);
    for (const { path, content } of writtenFiles({ PackageSha256: checksum }))
      await guest.write(path, content);
    await guest.run(`chmod 755 ${SCRIPT}`);
  };
  const read = (path: string): Promise<string> => guest.run(`cat ${path}`);

  beforeAll(async () => {
    const directory = mkdtempSync(join(tmpdir(), 'quorate-package-'));
    try {
      file = readFileSync(makePackage(directory));
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
    guest = await Guest.boot();
    await guest.write('/root/package.deb', file);
    const played = {
      curl: CURL,
      aws: AWS,
      'apt-get': APT,
      hostnamectl: NOTHING,
      modprobe: NOTHING,
      sleep: NOTHING,
    };
    for (const [name, content] of Object.entries({
      ...played,
      systemctl: '#!/bin/bash\necho "$@" >> /root/units\n',
    }))
      await guest.write(`/usr/local/sbin/${name}`, content);
    await guest.run('chmod 755 /usr/local/sbin/*');
  }, BUILD_LIMIT_MS);
  afterAll(async () => guest?.end(), LIMIT_MS);

  it.each(['a', 'b', 'w'])(
    'node %s has a config that only its certificate is missing from',
    { timeout: LIMIT_MS },
    async (node) => {
      await prepare(node, sha256());
      await guest.run(SCRIPT);
      expect(await guest.say('quorate status --config /etc/quorate/quorate.yaml')).toContain(
        'cannot read /etc/quorate/ca.pem',
      );
      const { ca, cert, key } = await testTls('nas-prod', node);
      await guest.write('/etc/quorate/ca.pem', ca);
      await guest.write('/etc/quorate/node.pem', cert);
      await guest.write('/etc/quorate/node.key', key);
      expect(await guest.say('quorate status --config /etc/quorate/quorate.yaml')).toContain(
        '[agent-unreachable]',
      );
      const config = await read('/etc/quorate/quorate.yaml');
      expect(config).toContain(`node: ${node}\n`);
      expect(config).toContain('instances: {a: i-0a1b2c3d4e5f60001, b: i-0a1b2c3d4e5f60002}');
      expect(await guest.run('test -e /etc/quorate/installed && echo yes')).toBe('yes');
    },
  );

  it('a data node gets DRBD for its own disks, and nothing but Quorate starts NFS', {
    timeout: LIMIT_MS,
  }, async () => {
    await prepare('a', sha256());
    await guest.run(SCRIPT);
    // As `Stack` makes ids up, without the hyphen.
    const [a, b] = ['DataVolumeA', 'DataVolumeB'].map((name) => {
      const position = Object.keys(template.Resources).indexOf(name);
      return `vol0a1b2c3d4e5f6${String(position).padStart(4, '0')}`;
    });
    const disk = '/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_';
    const expected = text('cluster/host/r0.res')
      .replace('/dev/nvme1n1', `${disk}${a}`)
      .replace('/dev/nvme1n1', `${disk}${b}`)
      .replace('/usr/local/bin/quorate', '/usr/bin/quorate');
    expect(await read('/etc/drbd.d/r0.res')).toBe(expected.trim());
    expect(await read('/root/units')).toContain('disable --now nfs-server.service');
    expect(await read('/root/units')).toContain('enable drbd@r0.target');
    expect(await read('/root/packages')).toContain('drbd-utils');
    expect(await read('/root/units')).toContain(
      'enable quorate.target quorate-executor.service quorate-agent.service',
    );
    expect(await read('/etc/exports.d/quorate.exports')).toContain('/srv 203.0.113.0/24(');
  });

  it('the witness gets neither disk nor service', { timeout: LIMIT_MS }, async () => {
    await prepare('w', sha256());
    await guest.run(SCRIPT);
    expect(await guest.say('ls /etc/drbd.d/r0.res /etc/exports.d/quorate.exports')).not.toMatch(/^\//m);
    // Nothing but ours.
    expect(await read('/root/packages')).toBe('install -y --no-install-recommends /var/tmp/quorate.deb');
  });

  it('the second port belongs to nobody but Quorate', { timeout: LIMIT_MS }, async () => {
    await prepare('b', sha256());
    await guest.run(SCRIPT);
    expect(await read('/etc/systemd/network/05-svc0.network')).toBe(
      '[Match]\nMACAddress=0e:00:00:00:00:02\n[Link]\nUnmanaged=yes',
    );
    expect(await read('/etc/systemd/network/05-svc0.link')).toBe(
      '[Match]\nMACAddress=0e:00:00:00:00:02\n[Link]\nName=svc0',
    );
    expect(await read('/etc/systemd/network/05-repl0.network')).toBe(
      '[Match]\nMACAddress=0e:00:00:00:00:01\n[Network]\nDHCP=ipv4',
    );
  });

  it('what runs after the restart is the program of the package, by the units of the package', {
    timeout: LIMIT_MS,
  }, async () => {
    await prepare('a', sha256());
    await guest.run(SCRIPT);
    expect(await guest.run('command -v quorate')).toBe('/usr/bin/quorate');
    // The played systemctl only notes what it is told: this is the real one.
    const shown = await guest.run('/usr/bin/systemctl cat quorate-agent.service quorate-executor.service');
    expect(shown).toMatch(/^# (\/usr)?\/lib\/systemd\/system\/quorate-agent\.service$/m);
    expect(shown.match(/^ExecStart=\/usr\/lib\/quorate\/run (quorate|executor) /gm)?.length).toBe(2);
    expect(await read('/etc/modules-load.d/quorate-watchdog.conf')).toBe('softdog');
  });

  it('another package than the one meant is not installed', { timeout: LIMIT_MS }, async () => {
    await prepare('a', 'f'.repeat(64));
    await expect(guest.run(SCRIPT)).rejects.toThrow('FAILED');
    expect(await guest.say('ls /root/packages /root/units /etc/quorate/installed')).not.toMatch(/^\//m);
  });
});
