import { describe, expect, it } from 'vitest';
import { readQuestion } from '../../src/http/question.ts';

const maxLag = (query: string) => {
  const question = readQuestion('GET', `/standby${query}`);
  return question.kind === 'check' ? question.maxLag : question;
};

describe('a question', () => {
  it.each(['leader', 'holder', 'standby', 'witness', 'health', 'ready'])(
    '/%s by GET, HEAD, OPTIONS',
    (check) => {
      for (const method of ['GET', 'HEAD', 'OPTIONS'])
        expect(readQuestion(method, `/${check}`)).toEqual({ kind: 'check', check, maxLag: null });
    },
  );

  it.each([
    '/index.html',
    '/Holder',
    '/holder/',
    '//holder',
    '/holder/x',
    '*',
    '',
    'http://a/holder',
    '/%68older',
  ])('404 for %j, with the paths that there are', (target) => {
    const question = readQuestion('GET', target);
    expect(question).toMatchObject({ kind: 'refused', status: 404 });
    expect(JSON.stringify(question)).toContain('/leader /holder /standby /witness /health /ready');
  });

  it('the status page and what it asks for, whatever the query', () => {
    for (const path of ['/', '/status-page.js', '/status-page.css', '/status-page.svg'])
      expect(readQuestion('GET', path)).toEqual({ kind: 'page', path });
    expect(readQuestion('HEAD', '/?from=a')).toEqual({ kind: 'page', path: '/' });
    expect(readQuestion('GET', '/events?x=1')).toEqual({ kind: 'events' });
    expect(readQuestion('OPTIONS', '/status.json')).toEqual({ kind: 'status' });
    for (const path of ['/', '/events', '/status.json'])
      expect(readQuestion('POST', path)).toMatchObject({ kind: 'refused', status: 405 });
  });

  it.each(['POST', 'PUT', 'DELETE', 'get'])('405 for %s', (method) => {
    expect(readQuestion(method, '/holder')).toMatchObject({ kind: 'refused', status: 405 });
  });

  it('what a stranger sends is shown short and harmless', () => {
    const question = readQuestion('GET', `/${'x'.repeat(5_000)}\u001b[31m`);
    expect(JSON.stringify(question).length).toBeLessThan(300);
    expect(readQuestion('GET', '/\u001b[31m')).toMatchObject({ error: 'there is nothing at "/?[31m"' });
  });
});

describe('max-lag', () => {
  it('entries, or a duration with its unit', () => {
    expect(maxLag('?max-lag=10')).toEqual({ entries: 10 });
    expect(maxLag('?max-lag=0')).toEqual({ entries: 0 });
    expect(maxLag('?max-lag=2s')).toEqual({ ms: 2_000 });
    expect(maxLag('?max-lag=1.5s')).toEqual({ ms: 1_500 });
    expect(maxLag('?max-lag=250ms')).toEqual({ ms: 250 });
    expect(maxLag('?max-lag=0s')).toEqual({ ms: 0 });
    expect(maxLag('?max-lag=1min')).toEqual({ ms: 60_000 });
    expect(maxLag('?')).toBeNull();
  });

  it.each([
    ['?max-lag=', /neither a number of entries nor a duration/],
    ['?max-lag=-1', /neither/],
    ['?max-lag=1.5', /neither/],
    ['?max-lag=1e3', /neither/],
    ['?max-lag=0x10', /neither/],
    ['?max-lag= 10', /neither/],
    ['?max-lag=10%20s', /neither/],
    ['?max-lag=2m', /neither/],
    ['?max-lag=2S', /neither/],
    ['?max-lag=NaN', /neither/],
    ['?max-lag=1000000000', /neither/],
    ['?max-lag=2h', /out of range.*1ms|out of range.*60min/],
    ['?max-lag=10&max-lag=10', /there twice/],
    ['?max_lag=10', /no parameter "max_lag"/],
    ['?maxlag=10', /no parameter "maxlag"/],
    ['?max-lag=10&pretty=1', /no parameter "pretty"/],
    ['?max-lag=10?x', /neither/],
  ])('%s is refused, with how to write it', (query, why) => {
    const question = maxLag(query);
    expect(question).toMatchObject({ status: 400, error: expect.stringMatching(why) });
    expect(JSON.stringify(question)).toContain('max-lag=10');
    expect(JSON.stringify(question)).toContain('max-lag=2s');
  });
});
