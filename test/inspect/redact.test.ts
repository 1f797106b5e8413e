/** Secrets go in, and none comes out: by name of a field, and in the middle of a text. */
import { describe, expect, it } from 'vitest';
import { wireItem } from '../../src/inspect/index.ts';
import { shown, shownText } from '../../src/inspect/redact.ts';
import { createAuthority } from '../../src/peer/index.ts';
import { ownTimeMs } from '../support/own-time.ts';
import { observed } from './sample.ts';

const SESSION = '6f1d2c3b4a5968778695a4b3c2d1e0f9';
const AWS_ID = 'AKIAIOSFODNN7EXAMPLE';
const AWS_TEMPORARY_ID = 'ASIAJEXAMPLEXEG2JICEA';
const AWS_SECRET = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';
const TOKEN = 'FwoGZXIvYXdzEJr//////////wEaDKc+Q2NcU1/4vT5jvCK9AZ';
const JWT = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJyb290In0.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk';

describe('by the name of its field', () => {
  it.each([
    'session',
    'sessionToken',
    'secretAccessKey',
    'password',
    'passphrase',
    'privateKey',
    'private_key',
    'Authorization',
    'credentials',
    'Set-Cookie',
  ])('%s is hidden whole, at any depth, whatever it is', (name) => {
    const value = { outer: [{ [name]: { deep: SESSION } }], [name]: SESSION };
    expect(JSON.stringify(shown(value))).not.toContain(SESSION);
  });

  it('the session of the welcome is not in what is sent to a viewer', () => {
    const welcome = { kind: 'welcome', session: SESSION, pid: 4, startTime: '77' };
    const item = wireItem(observed({ channel: 'executor', kind: 'welcome', content: welcome }), 0);
    expect(JSON.parse(item.detail ?? '')).toEqual({ session: '[hidden]', pid: 4, startTime: '77' });
  });
});

describe('in a text', () => {
  const texts: readonly (readonly [string, string])[] = [
    [AWS_ID, `signed by ${AWS_ID}, refused`],
    [AWS_TEMPORARY_ID, `Credential=${AWS_TEMPORARY_ID}/20260102/us-east-1/ec2/aws4_request`],
    [AWS_SECRET, `key ${AWS_SECRET} is wrong`],
    [AWS_SECRET, `aws_secret_access_key = ${AWS_SECRET}`],
    [TOKEN, `https://ec2/?X-Amz-Security-Token=${TOKEN}&X-Amz-Date=1`],
    [TOKEN, `{"SessionToken":"${TOKEN}"}`],
    ['s3cr3t-7', 'mount -o username=nas,password=s3cr3t-7 //x/y'],
    ['s3cr3t-7', 'https://nas:s3cr3t-7@example.org/x failed'],
    ['s3cr3t-7', 'DB_PASSWORD: s3cr3t-7'],
    ['s3cr3t-7', 'api-key="s3cr3t-7"'],
    ['dXNlcjpwYXNz', 'Authorization: Basic dXNlcjpwYXNz'],
    ['0a1b2c3d4e5f', 'Authorization: AWS4-HMAC-SHA256 SignedHeaders=host, Signature=0a1b2c3d4e5f'],
    [JWT, `Bearer ${JWT}`],
    [JWT, `the token was ${JWT}`],
  ];
  it.each(texts)('%s is not in what is shown of %s', (secret, text) => {
    const out = shownText(text);
    expect(out).not.toContain(secret);
    expect(out).toContain('[hidden]');
    // Nor by the way that it takes to a viewer, nor as an outcome.
    const item = wireItem(observed({ content: { why: text, steps: [{ result: text }] }, outcome: text }), 0);
    expect(JSON.stringify(item)).not.toContain(secret);
  });

  it('a private key is hidden, whole or cut off', async () => {
    const { key } = await createAuthority('alpha');
    const middle = key.split('\n')[1] ?? '';
    expect(middle.length).toBeGreaterThan(20);
    for (const text of [key, `openssl said ${key} is bad`, key.slice(0, key.length / 2)]) {
      expect(shownText(text)).not.toContain(middle);
    }
  });

  it('what is no secret stays: ids, hashes, addresses, sentences', () => {
    const texts_ = [
      'eipalloc-03a7e962 is at eni-46561127 (10.0.1.10)',
      'a4f0c1b3884e988bb5386336e22c60a3e6ff1899a75dde65e40e0927cd8a6965',
      '2fd4e1c67a2d28fced849ee1bb76e7391b93eb12',
      'AuthFailure: AWS was not able to validate the provided access credentials',
      'arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/nas/73e2d6bc24d8a067',
      '/var/lib/quorate/executor-state.json',
      'b is not in the in-sync set (H1)',
    ];
    for (const text of texts_) expect(shownText(text)).toBe(text);
  });
});

describe('nothing else that harms', () => {
  it('texts, lists and depth are bounded', () => {
    expect(shownText('é'.repeat(900))).toBe(`${'é'.repeat(500)}… (400 more)`);
    expect(shown(Array.from({ length: 40 }, () => 1))).toHaveLength(33);
    let deep: unknown = 'end';
    for (let depth = 0; depth < 50; depth++) deep = { deep };
    expect(JSON.stringify(shown(deep)).length).toBeLessThan(100);
    expect(shown({ bytes: Buffer.from('key material') })).toEqual({ bytes: '12 bytes' });
  });

  it.each([
    'x',
    'a-',
    'a.',
    'eyJ-',
    'eyJaaaaaaaa.a.',
    'password',
    'token ',
    'Bearer ',
    'A0b/',
    'a://b:',
    '-----BEGIN PRIVATE KEY-----',
  ])('a text of nothing but %j takes no time', (piece) => {
    const text = piece.repeat(4096 / piece.length);
    const startedAt = ownTimeMs();
    for (let count = 0; count < 5; count++) shownText(text);
    expect(ownTimeMs() - startedAt).toBeLessThan(250);
  });

  it('nothing moves the cursor', () => {
    expect(shownText('\u001b[2Jgone\u009b2J\u202eback\nnext')).toBe('\ufffd[2Jgone\ufffd2J\ufffdback\nnext');
  });
});
