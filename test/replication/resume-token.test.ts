import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tokenOf } from '../../cluster/zfs-model/index.ts';
import { readResumeToken } from '../../src/replication/resume-token.ts';

/** Printed by ZFS 0.8 for an incremental stream; `zfs send -nvt` says fromguid 0x595d9f81aa9dddab of it. */
const INCREMENTAL =
  '1-c49b979a2-e0-789c636064000310a501c49c50360710a715e5e7a69766a63040c1eabb735735ce8f8d5400b2d991d4e52765a5269740f82080219f96569c5ac2000720793624f9a4ca92d46206547964fd25f91057f09e37babb88c9bf5503499e132c9f97989bcac050909f9f63a80f34abc421096616007c881d4c';

describe('a token', () => {
  it('of an incremental stream has where it comes from', () => {
    expect(readResumeToken(INCREMENTAL)).toMatchObject({
      fromGuid: String(0x595d9f81aa9dddabn),
      toName: 'pool1/test@b',
    });
  });

  it('of any name and any 64 bits is read as it was made', () => {
    const id = fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }).map(String);
    const name = fc.stringMatching(/^tank\/[a-z]{1,40}@[a-z0-9]{1,40}$/);
    fc.assert(
      fc.property(name, id, fc.option(id), fc.boolean(), (toName, guid, fromGuid, isRaw) => {
        const token = tokenOf({ toName, snapshot: { guid }, fromGuid, isRaw });
        expect(readResumeToken(token)).toEqual({ toName, toGuid: guid, fromGuid, bytes: 0, isRaw });
      }),
    );
  });

  it.each([
    ['nothing', ''],
    ['another version', INCREMENTAL.replace('1-', '2-')],
    ['another size than it says', INCREMENTAL.replace('-e0-', '-e8-')],
    ['cut off', INCREMENTAL.slice(0, -20)],
    [
      'letters of a terminal',
      tokenOf({ toName: 'tank/\u001b[2J@s', snapshot: { guid: '5' }, fromGuid: null }),
    ],
    [
      'of two names',
      tokenOf({
        ...{ toName: 'tank/secret@s', snapshot: { guid: '5' }, fromGuid: null },
        more: [['toname', 'tank/a@s']],
      }),
    ],
    ['a "from" that is none', tokenOf({ toName: 'tank/a@s', snapshot: { guid: '5' }, fromGuid: '0' })],
  ])('that is %s is not understood', (_what, token) => expect(readResumeToken(token)).toBeNull());

  it('of whatever bytes never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(INCREMENTAL.length), (bytes, at) => {
        readResumeToken(`1-0-40-${Buffer.from(bytes).toString('hex')}`);
        readResumeToken(
          INCREMENTAL.slice(0, at) + Buffer.from(bytes).toString('hex') + INCREMENTAL.slice(at),
        );
      }),
    );
  });
});
