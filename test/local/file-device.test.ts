import { mkdtempSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FileDevice } from '../../cluster/local/store/file-device.ts';
import { Store } from '../../cluster/local/store/store.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quorate-store-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const path = (): string => join(directory, 'records');
const openStore = async () => {
  const device = await FileDevice.open(path(), 4);
  return { device, store: await Store.open(device) };
};

describe('the store on a file', () => {
  it('finds every record again after it was opened anew, and goes on behind the last one', async () => {
    const first = await openStore();
    for (let number = 1; number <= 40; number += 1)
      await first.store.append({ number, payload: `record ${number}` });
    await first.device.close();
    const second = await openStore();
    expect(second.store.last).toBe(40);
    expect(await second.store.read(33)).toEqual({ number: 33, payload: 'record 33' });
    await second.store.append({ number: 41, payload: 'one more' });
    expect(second.store.last).toBe(41);
    await second.device.close();
  });

  it('sees what is missing at the end, and says that a record in the middle is damaged', async () => {
    const { store, device } = await openStore();
    for (let number = 1; number <= 40; number += 1) await store.append({ number, payload: 'x' });
    await device.close();
    truncateSync(path(), 4096);
    const cut = await openStore();
    expect(cut.store.last).toBe(32);
    await cut.device.write(0, Buffer.alloc(4096, 1));
    await expect(cut.store.read(7)).rejects.toThrow('record 7 is damaged');
    await cut.device.close();
  });

  it('refuses what does not fit', async () => {
    const { store, device } = await openStore();
    await expect(store.append({ number: 97, payload: 'x' })).rejects.toThrow('the store is full');
    await device.close();
  });
});
