/** What is read from apt and from the packages, in their own words. */
import { describe, expect, it } from 'vitest';
import { dependenciesOf, fieldOf, isOneUnknown, sourcesOf } from '../../cluster/lab/debian.ts';
import { imageKey, kernelVersionOf, modulesShown, versionOf } from '../../cluster/lab/qemu/image.ts';
import { loadOrder, neededBy } from '../../cluster/lab/qemu/zfs.ts';

describe('the sources of packages', () => {
  it("are the host's own mirrors of Debian, with contrib, each once; nobody else's", () => {
    const targets = [
      'Debian|http://deb.debian.org/debian/|bookworm|main',
      'Debian|http://deb.debian.org/debian/|bookworm|main',
      'Debian|http://deb.debian.org/debian-security/|bookworm-security|main',
      '. nodistro|https://deb.nodesource.com/node_20.x/|nodistro|main',
      '',
    ];
    expect(sourcesOf(targets.join('\n'))).toEqual([
      'deb http://deb.debian.org/debian/ bookworm main contrib',
      'deb http://deb.debian.org/debian-security/ bookworm-security main contrib',
    ]);
  });

  it('are not known where apt has no lists yet, of all or of one', () => {
    const known = 'Debian|http://deb.debian.org/debian/|bookworm|main\n';
    const unknown = '|http://deb.debian.org/debian-security/|bookworm-security|main\n';
    expect(sourcesOf(unknown)).toEqual([]);
    expect([known, unknown, known + unknown, ''].map(isOneUnknown)).toEqual([false, true, true, true]);
  });
});

describe('the kernel', () => {
  const meta = `Package: linux-image-cloud-amd64
Version: 6.1.192-2
Depends: linux-image-6.1.0-56-cloud-amd64 (= 6.1.192-2)
Description: Linux for x86-64 cloud (meta-package)
`;
  it('is the one that the distribution follows', () => {
    expect(kernelVersionOf(meta)).toBe('6.1.0-56-cloud-amd64');
    expect(() => kernelVersionOf('Package: linux-image-cloud-amd64\n')).toThrow('depends on no kernel');
  });

  it('has headers that depend on others of the same build', () => {
    const headers =
      'Version: 6.1.192-2\nDepends: linux-headers-6.1.0-56-common (= 6.1.192-2), linux-kbuild-6.1 (>= 6.1.192-2), linux-compiler-gcc-12-x86\n';
    expect(dependenciesOf(headers)).toEqual([
      'linux-headers-6.1.0-56-common',
      'linux-kbuild-6.1',
      'linux-compiler-gcc-12-x86',
    ]);
    expect(dependenciesOf('Depends: kmod, linux-base (>= 4.3~), initramfs-tools | dracut\n')).toEqual([
      'kmod',
      'linux-base',
      'initramfs-tools',
    ]);
    expect(fieldOf(headers, 'Version')).toBe('6.1.192-2');
    expect(fieldOf(headers, 'Source')).toBeNull();
  });
});

describe('the image of the guests', () => {
  it('has a name that changes with each of its inputs, and with nothing else', () => {
    const key = imageKey([['bash', 'dash'], 'init']);
    expect(imageKey([['bash', 'dash'], 'init'])).toBe(key);
    expect(imageKey([['bash', 'samba'], 'init'])).not.toBe(key);
    expect(imageKey([['bash', 'dash'], 'init\n'])).not.toBe(key);
  });

  it('knows the version of a package from its file', () => {
    const files = [
      'zfs-zed_2.1.11-1_amd64.deb',
      'zfsutils-linux_2.1.11-1+deb12u1_amd64.deb',
      'samba_2%3a4.17.12_amd64.deb',
    ];
    expect(versionOf(files, 'zfsutils-linux')).toBe('2.1.11-1+deb12u1');
    expect(versionOf(files, 'samba')).toBe('2:4.17.12');
    expect(() => versionOf(files, 'zfsutils')).toThrow('no package zfsutils');
  });

  it('boots with the modules that stand before the root, each once, and none that the kernel has built in', () => {
    const shown = `insmod /lib/modules/6.1/kernel/drivers/virtio/virtio.ko
insmod /lib/modules/6.1/kernel/drivers/virtio/virtio_pci.ko
builtin ext4
insmod /lib/modules/6.1/kernel/drivers/virtio/virtio.ko
insmod /lib/modules/6.1/kernel/drivers/block/virtio_blk.ko
`;
    expect(modulesShown(shown).map((path) => path.split('/').at(-1))).toEqual([
      'virtio.ko',
      'virtio_pci.ko',
      'virtio_blk.ko',
    ]);
  });
});

describe("ZFS's modules", () => {
  it('say themselves what they need', () => {
    expect(neededBy(Buffer.from('license=CDDL\0depends=spl,zlua\0name=zfs\0'))).toEqual(['spl', 'zlua']);
    expect(neededBy(Buffer.from('license=CDDL\0depends=\0name=spl\0'))).toEqual([]);
  });

  it('are loaded after what they need', () => {
    const needs = new Map([
      ['zfs', ['zcommon', 'spl']],
      ['zcommon', ['znvpair', 'spl']],
      ['znvpair', ['spl']],
      ['spl', ['zlib_deflate']],
    ]);
    expect(loadOrder(needs)).toEqual(['spl', 'znvpair', 'zcommon', 'zfs']);
  });
});
