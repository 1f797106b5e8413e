/** A tiny VPC controller that speaks EC2's query protocol: one Elastic IP, and the faults that matter (O2, d.5). */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Ec2Call {
  readonly action: string;
  readonly parameters: URLSearchParams;
  readonly attempt: string;
  readonly at: number;
}

/** What happens to the next call of an action: it may be executed or not, and answered or not. */
export type Fault =
  | { readonly kind: 'throttle' }
  | { readonly kind: 'error'; readonly status: number; readonly code: string }
  /** Executed, but the connection breaks before the answer. */
  | { readonly kind: 'lost-reply' }
  /** Not executed, and the connection breaks. */
  | { readonly kind: 'lost-request' }
  /** Executed after `ms`; the answer comes then. */
  | { readonly kind: 'late'; readonly ms: number }
  | { readonly kind: 'silent' };

export class FakeEc2 {
  interfaceId: string | null = null;
  associationId: string | null = null;
  readonly calls: Ec2Call[] = [];
  readonly faults = new Map<string, Fault[]>();
  /** What a reading shows instead of the truth: eventual consistency. */
  shownInterfaceId: string | null | undefined;
  readonly #server: Server;
  #nextId = 1;

  constructor() {
    this.#server = createServer((request, response) => {
      let body = '';
      request.setEncoding('utf8');
      request.on('data', (text: string) => {
        body += text;
      });
      request.on('end', () => {
        const parameters = new URLSearchParams(body);
        const action = parameters.get('Action') ?? '';
        const attempt = String(request.headers['amz-sdk-request'] ?? '');
        this.calls.push({ action, parameters, attempt, at: performance.now() });
        const fault = this.faults.get(action)?.shift();
        const answer = (): void => {
          const { status, xml } = this.#execute(action, parameters);
          response.writeHead(status, { 'content-type': 'text/xml' }).end(xml);
        };
        switch (fault?.kind) {
          case undefined:
            return answer();
          case 'throttle':
            return void response
              .writeHead(503)
              .end(failure('RequestLimitExceeded', 'Request limit exceeded.'));
          case 'error':
            return void response.writeHead(fault.status).end(failure(fault.code, 'as the test wants'));
          case 'lost-reply':
            this.#execute(action, parameters);
            return void request.socket.destroy();
          case 'lost-request':
            return void request.socket.destroy();
          case 'late':
            return void setTimeout(answer, fault.ms);
          case 'silent':
            return;
        }
      });
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  fail(action: string, ...faults: Fault[]): void {
    this.faults.set(action, [...(this.faults.get(action) ?? []), ...faults]);
  }

  calledActions(): string[] {
    return this.calls.map((call) => call.action);
  }

  of(action: string): Ec2Call[] {
    return this.calls.filter((call) => call.action === action);
  }

  associate(interfaceId: string): string {
    this.interfaceId = interfaceId;
    this.associationId = `eipassoc-${String(this.#nextId++).padStart(8, '0')}`;
    return this.associationId;
  }

  #execute(action: string, parameters: URLSearchParams): { status: number; xml: string } {
    switch (action) {
      case 'DescribeAddresses': {
        const shown = this.shownInterfaceId === undefined ? this.interfaceId : this.shownInterfaceId;
        const owner =
          shown === null
            ? ''
            : `<networkInterfaceId>${shown}</networkInterfaceId><associationId>${this.associationId}</associationId>`;
        return {
          status: 200,
          xml: `<DescribeAddressesResponse><addressesSet><item><publicIp>127.80.0.1</publicIp><allocationId>${parameters.get('AllocationId.1')}</allocationId>${owner}</item></addressesSet><requestId>r</requestId></DescribeAddressesResponse>`,
        };
      }
      case 'AssociateAddress': {
        const wanted = parameters.get('NetworkInterfaceId') ?? '';
        const isTaken = this.interfaceId !== null && this.interfaceId !== wanted;
        if (isTaken && parameters.get('AllowReassociation') !== 'true') {
          return { status: 400, xml: failure('Resource.AlreadyAssociated', 'is already associated.') };
        }
        const id = this.associate(wanted);
        return {
          status: 200,
          xml: `<AssociateAddressResponse><associationId>${id}</associationId><requestId>r</requestId></AssociateAddressResponse>`,
        };
      }
      case 'DisassociateAddress':
        if (parameters.get('AssociationId') !== this.associationId) {
          return { status: 400, xml: failure('InvalidAssociationID.NotFound', 'no such association') };
        }
        this.interfaceId = null;
        this.associationId = null;
        return {
          status: 200,
          xml: '<DisassociateAddressResponse><return>true</return></DisassociateAddressResponse>',
        };
      default:
        return { status: 400, xml: failure('InvalidAction', action) };
    }
  }
}

function failure(code: string, message: string): string {
  return `<Response><Errors><Error><Code>${code}</Code><Message>${message}</Message></Error></Errors><RequestID>r</RequestID></Response>`;
}
