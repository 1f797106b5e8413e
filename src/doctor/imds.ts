/**
 * The instance's own metadata service (IMDSv2): a token first, then what it says about this instance. Asked without a
 * token too, because one that answers then gives the role's credentials to whatever can make this host send a request.
 */
import type { CheckContext } from './context.ts';
import { reason } from './run.ts';

export const IMDS_ENDPOINT = 'http://169.254.169.254';
const TOKEN_HEADER = 'x-aws-ec2-metadata-token';
const TOKEN_LIFE_S = 300;
const LIMIT_MS = 1000;
const MAX_INTERFACES = 32;

export interface Instance {
  readonly instanceId: string;
  readonly zone: string;
  /** Ids of all attached interfaces. */
  readonly interfaces: readonly string[];
  /** It answers without a token as well. */
  readonly answersWithoutToken: boolean;
}

export type Metadata =
  | { readonly kind: 'instance'; readonly instance: Instance }
  /** Switched off in the environment. */
  | { readonly kind: 'off' }
  | { readonly kind: 'silent'; readonly why: string }
  | { readonly kind: 'odd'; readonly why: string };

export async function readMetadata(context: CheckContext): Promise<Metadata> {
  const { environment } = context.host;
  if (environment.AWS_EC2_METADATA_DISABLED?.toLowerCase() === 'true') return { kind: 'off' };
  const base = (environment.AWS_EC2_METADATA_SERVICE_ENDPOINT ?? IMDS_ENDPOINT).replace(/\/+$/, '');
  let token: string;
  try {
    token = await tokenOf(context, base);
  } catch (error) {
    return { kind: 'silent', why: `${base} gives no token: ${reason(error)}` };
  }
  try {
    return { kind: 'instance', instance: await instanceOf(context, base, token) };
  } catch (error) {
    return { kind: 'odd', why: `${base} ${reason(error)}` };
  }
}

async function tokenOf({ network, signal }: CheckContext, base: string): Promise<string> {
  const headers = { 'x-aws-ec2-metadata-token-ttl-seconds': String(TOKEN_LIFE_S) };
  const request = { method: 'PUT', url: `${base}/latest/api/token`, headers } as const;
  const { status, body } = await network.http(request, LIMIT_MS, signal);
  if (status !== 200 || !/^[\x21-\x7e]{8,512}$/.test(body)) throw new Error(`it answered ${status}`);
  return body;
}

async function instanceOf(context: CheckContext, base: string, token: string): Promise<Instance> {
  const { network, signal } = context;
  const get = async (path: string): Promise<string> => {
    const request = {
      method: 'GET',
      url: `${base}/latest/${path}`,
      headers: { [TOKEN_HEADER]: token },
    } as const;
    const { status, body } = await network.http(request, LIMIT_MS, signal);
    if (status !== 200) throw new Error(`answered ${status} for ${path}`);
    return body.trim();
  };
  const expect = (text: string, pattern: RegExp, what: string): string => {
    if (!pattern.test(text)) throw new Error(`has no ${what}: ${JSON.stringify(text.slice(0, 60))}`);
    return text;
  };
  const instanceId = expect(await get('meta-data/instance-id'), /^i-[0-9a-z-]{1,40}$/, 'instance id');
  const zone = expect(await get('meta-data/placement/availability-zone'), /^[a-z0-9-]{3,40}$/, 'zone');
  const listed = await get('meta-data/network/interfaces/macs/');
  const macs = listed.split(/\s+/).map((line) => line.replace(/\/$/, ''));
  const interfaces: string[] = [];
  for (const mac of macs.slice(0, MAX_INTERFACES)) {
    expect(mac, /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i, 'list of MAC addresses');
    const id = await get(`meta-data/network/interfaces/macs/${mac}/interface-id`);
    interfaces.push(expect(id, /^eni-[0-9a-f]{1,40}$/, 'interface id'));
  }
  return { instanceId, zone, interfaces, answersWithoutToken: await answersWithoutToken(context, base) };
}

async function answersWithoutToken({ network, signal }: CheckContext, base: string): Promise<boolean> {
  const url = `${base}/latest/meta-data/instance-id`;
  try {
    return (await network.http({ method: 'GET', url }, LIMIT_MS, signal)).status === 200;
  } catch {
    // It drops what has no token: that is as good as a refusal.
    return false;
  }
}
