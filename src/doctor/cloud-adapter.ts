/**
 * CloudProbe on the clients that the executor has. It changes nothing: the clients' gate for mutations stays shut, and of
 * dry runs only AWS itself is asked about the real ids, which permissions may depend on. Any other endpoint is asked about
 * ids that are nobody's: some emulators execute a dry run, and would stop the other node.
 */
import type { Config } from '../config/index.ts';
import {
  type CloudWatch,
  type DryRunAction,
  type Ec2Api,
  type Ec2CallOptions,
  Ec2Failure,
  type ElbApi,
  loadEc2Client,
  loadElbClient,
} from '../resources/index.ts';
import type {
  CloudAction,
  CloudCall,
  CloudProbe,
  InterfaceView,
  MovingAddressView,
  Permission,
} from './cloud-probe.ts';

const CALL_LIMIT_MS = 2000;
/** They may come from the metadata service, which takes its time. */
const CREDENTIALS_LIMIT_MS = 5000;
const KEY_ENDS = 4;

export async function cloudProbe(
  config: Config,
  localAddress: string | null,
  watch?: CloudWatch,
): Promise<CloudProbe> {
  // As the executor does: our package.json says which versions of Node we support.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
  const { region, endpoint } = config.cloud;
  const options = { region, endpoint, localAddress, mayMutate: () => false, ...(watch && { watch }) };
  const { DENIED_CODES, Ec2Client } = await loadEc2Client();
  const ec2 = new Ec2Client(options);
  let elb: (ElbApi & { close(): void }) | null = null;
  return new SdkProbe({
    ec2,
    elb: async () => {
      elb ??= new (await loadElbClient()).ElbClient(options);
      return elb;
    },
    isDenial: (code) => DENIED_CODES.has(code),
    isAws: endpoint === null || isOfAws(endpoint),
    close: () => {
      ec2.close();
      elb?.close();
    },
  });
}

/** AWS's own names, those of interface endpoints (`*.vpce.amazonaws.com`) included. */
export function isOfAws(endpoint: string): boolean {
  return /(^|\.)amazonaws\.com(\.cn)?$/.test(new URL(endpoint).hostname);
}

/** Well-formed, and nobody's. */
const NOBODYS = {
  allocationId: 'eipalloc-00000000000000000',
  associationId: 'eipassoc-00000000000000000',
  interfaceId: 'eni-00000000000000000',
  routeTableId: 'rtb-00000000000000000',
  instanceId: 'i-00000000000000000',
  groups: ['sg-00000000000000000'],
} as const;

const BY_POLICY = 'has no dry run: compare the role with the policy of cluster/aws';
const NO_DRY_RUN: Readonly<Partial<Record<CloudAction, string>>> = {
  AssignPrivateIpAddresses: `EC2 ${BY_POLICY}`,
  RegisterTargets: `ELB ${BY_POLICY}`,
  DeregisterTargets: `ELB ${BY_POLICY}`,
};

interface Parts {
  readonly ec2: Ec2Api & {
    dryRun(
      action: DryRunAction,
      options: Ec2CallOptions,
    ): Promise<{ readonly kind: 'allowed' } | { readonly kind: 'denied' | 'unknown'; readonly code: string }>;
    accessKey(): Promise<string>;
  };
  readonly elb: () => Promise<ElbApi>;
  readonly isDenial: (code: string) => boolean;
  readonly isAws: boolean;
  readonly close: () => void;
}

class SdkProbe implements CloudProbe {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  async credentials(signal: AbortSignal): Promise<string> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(CREDENTIALS_LIMIT_MS)]);
    const late = new Promise<never>((_, reject) => {
      limit.addEventListener('abort', () => reject(new Error('they did not come in time')), { once: true });
    });
    const key = await Promise.race([this.#parts.ec2.accessKey(), late]);
    return `access key ${key.slice(0, KEY_ENDS)}…${key.slice(-KEY_ENDS)}`;
  }

  async permission(call: CloudCall, signal: AbortSignal): Promise<Permission> {
    const why = NO_DRY_RUN[call.action];
    if (why !== undefined) return { kind: 'unknown', why };
    try {
      const read = this.#read(call, optionsOf(signal));
      if (read === null) return await this.#dryRun(call, signal);
      await read;
      return { kind: 'allowed' };
    } catch (error) {
      const { code, message } = failureOf(error);
      if (this.#parts.isDenial(code)) return { kind: 'denied', why: code };
      // What finds nothing was allowed to look.
      return isNotFound(code) ? { kind: 'allowed' } : { kind: 'unknown', why: message };
    }
  }

  /** One by one: an id that does not exist would refuse the answer for all. */
  describeInterfaces(ids: readonly string[], signal: AbortSignal): Promise<(InterfaceView | null)[]> {
    return Promise.all(ids.map((id) => this.#interface(id, signal)));
  }

  async describeAddress(allocationId: string, signal: AbortSignal): Promise<MovingAddressView | null> {
    return nullIfNotFound(this.#parts.ec2.describeAddress(allocationId, optionsOf(signal)));
  }

  close(): void {
    this.#parts.close();
  }

  async #interface(id: string, signal: AbortSignal): Promise<InterfaceView | null> {
    const found = await nullIfNotFound(this.#parts.ec2.describeInterfaces([id], optionsOf(signal)));
    const [one] = found ?? [];
    if (one === undefined) return null;
    const { sourceDestCheck, groups, attachment } = one;
    return { id, instanceId: attachment?.instanceId ?? null, sourceDestCheck, groups };
  }

  /** Null for what is no reading. */
  #read(call: CloudCall, options: Ec2CallOptions): Promise<unknown> | null {
    const { ec2, elb } = this.#parts;
    const {
      allocationId = '',
      routeTableId = '',
      interfaceId = '',
      instanceId = '',
      targetGroup = '',
    } = call;
    switch (call.action) {
      case 'DescribeAddresses':
        return ec2.describeAddress(allocationId, options);
      case 'DescribeRouteTables':
        return ec2.describeRouteTables([routeTableId], options);
      case 'DescribeNetworkInterfaces':
        return ec2.describeInterfaces([interfaceId], options);
      case 'DescribeInstances':
        return ec2.describeInstances([instanceId], options);
      case 'DescribeTargetHealth':
        return elb().then((client) => client.describeTargetHealth(targetGroup, options));
      default:
        return null;
    }
  }

  async #dryRun(call: CloudCall, signal: AbortSignal): Promise<Permission> {
    const action = await this.#actionOf(call, signal);
    if ('why' in action) return { kind: 'unknown', why: action.why };
    const result = await this.#parts.ec2.dryRun(action, optionsOf(signal));
    if (result.kind === 'allowed') return result;
    const { code } = result;
    if (result.kind === 'denied') return { kind: 'denied', why: code };
    // The role was looked at before the state.
    return PAST_THE_ROLE.has(code) ? { kind: 'allowed' } : { kind: 'unknown', why: MEANINGS[code] ?? code };
  }

  async #actionOf(call: CloudCall, signal: AbortSignal): Promise<DryRunAction | { readonly why: string }> {
    const { isAws } = this.#parts;
    const ids = isAws ? call : { ...NOBODYS, destination: call.destination };
    const { allocationId = '', interfaceId = '', routeTableId: table = '', destination = '' } = ids;
    switch (call.action) {
      case 'AssociateAddress':
        return { kind: 'AssociateAddress', allocationId, interfaceId };
      case 'DisassociateAddress': {
        if (!isAws) return { kind: 'DisassociateAddress', associationId: NOBODYS.associationId };
        const associationId = (await this.describeAddress(allocationId, signal))?.associationId ?? null;
        return associationId === null
          ? { why: 'nobody has the address now, so there is nothing to ask about' }
          : { kind: 'DisassociateAddress', associationId };
      }
      case 'ReplaceRoute':
      case 'CreateRoute':
        return { kind: call.action, table, destination, interfaceId };
      case 'StopInstances':
        return { kind: 'StopInstances', instanceId: ids.instanceId ?? '' };
      case 'ModifyNetworkInterfaceAttribute': {
        // Those that it has: even executed, nothing would change.
        const groups = isAws ? ((await this.#interface(interfaceId, signal))?.groups ?? []) : NOBODYS.groups;
        return groups.length === 0
          ? { why: `${interfaceId} shows no security groups` }
          : { kind: 'ModifyNetworkInterfaceAttribute', interfaceId, groups };
      }
      default:
        return { why: `${call.action} cannot be asked for` };
    }
  }
}

const PAST_THE_ROLE: ReadonlySet<string> = new Set(['Resource.AlreadyAssociated', 'RouteAlreadyExists']);
const MEANINGS: Readonly<Record<string, string>> = {
  DryRunIgnored: 'this endpoint does not honour dry runs',
};

const optionsOf = (signal: AbortSignal): Ec2CallOptions => ({ signal, timeoutMs: CALL_LIMIT_MS });

const isNotFound = (code: string): boolean => /\.NotFound$|^TargetGroupNotFound/.test(code);

async function nullIfNotFound<Answer>(asked: Promise<Answer>): Promise<Answer | null> {
  try {
    return await asked;
  } catch (error) {
    if (isNotFound(failureOf(error).code)) return null;
    throw error;
  }
}

function failureOf(error: unknown): { readonly code: string; readonly message: string } {
  if (!(error instanceof Ec2Failure)) return { code: '', message: String(error) };
  const { code, message } = error;
  return { code, message: message.includes(code) ? message : `${code}: ${message}` };
}
