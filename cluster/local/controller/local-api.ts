/**
 * What no cloud offers: the truth, the call history, and the switches for faults, cables and power. JSON under
 * `/_local/`; a path of EC2's never leads here, nor one of these to an EC2 action.
 *
 *   GET    /_local/state                        the true world, who holds each address now
 *   GET    /_local/calls?after=SEQ&action=NAME  the latest calls;  DELETE forgets them
 *   GET    /_local/faults                       PUT replaces all of them, DELETE clears them
 *   GET    /_local/power?after=SEQ              what was switched on and off
 *   GET    /_local/instances/ID/power           POST {action: stop|start|crash|terminate, hook?: boolean}
 *   PUT    /_local/interfaces/ID/link           {up: boolean};  DELETE /_local/interfaces/ID: the interface is gone
 *   PUT    /_local/zones/NAME/link              {up: boolean}: every interface of the zone
 *   POST   /_local/listener                     {closedForMs}: connections are refused, this API's too
 */
import { z } from 'zod';
import type { VpcController } from './controller.ts';
import { FaultsSchema } from './faults.ts';

export interface LocalReply {
  readonly status: number;
  readonly body: unknown;
}

export const MAX_CLOSED_MS = 60_000;
const LinkSchema = z.strictObject({ up: z.boolean() });
const PowerSchema = z.strictObject({
  action: z.enum(['stop', 'start', 'crash', 'terminate']),
  hook: z.boolean().default(true),
});
const ListenerSchema = z.strictObject({ closedForMs: z.number().min(1).max(MAX_CLOSED_MS) });

const ok = (body: unknown): LocalReply => ({ status: 200, body });

export async function serveLocal(
  controller: VpcController,
  method: string,
  url: URL,
  text: string,
): Promise<LocalReply> {
  try {
    const [, , topic = '', id, part] = url.pathname.split('/').map(decodeURIComponent);
    const body: unknown = text === '' ? {} : JSON.parse(text);
    const route = [
      method,
      topic,
      ...(id === undefined ? [] : ['ID']),
      ...(part === undefined ? [] : [part]),
    ].join(' ');
    return await answer(controller, { route, id: id ?? '', search: url.searchParams, body });
  } catch (error) {
    if (error instanceof z.ZodError) return { status: 400, body: { error: z.prettifyError(error) } };
    if (error instanceof SyntaxError || error instanceof URIError) {
      return { status: 400, body: { error: error.message } };
    }
    if (error instanceof RangeError) return { status: 404, body: { error: error.message } };
    throw error;
  }
}

interface LocalCall {
  readonly route: string;
  readonly id: string;
  readonly search: URLSearchParams;
  readonly body: unknown;
}

async function answer(
  controller: VpcController,
  { route, id, search, body }: LocalCall,
): Promise<LocalReply> {
  const after = Number(search.get('after') ?? 0);
  switch (route) {
    case 'GET state':
      return ok(controller.state());
    case 'GET calls':
      return ok(controller.calls({ after, action: search.get('action') }));
    case 'DELETE calls':
      controller.clearCalls();
      return ok({});
    case 'GET faults':
      return ok(controller.faults());
    case 'PUT faults':
      controller.setFaults(FaultsSchema.parse(body));
      return ok(controller.faults());
    case 'DELETE faults':
      controller.setFaults({});
      return ok(controller.faults());
    case 'GET power':
      return ok(controller.powerEvents(after));
    case 'GET instances ID power':
      return ok(controller.instance(id));
    case 'POST instances ID power': {
      const { action, hook } = PowerSchema.parse(body);
      await controller.power(id, action, { hook });
      return ok(controller.instance(id));
    }
    case 'PUT interfaces ID link':
      controller.setInterfaceLink(id, LinkSchema.parse(body).up);
      return ok({});
    case 'DELETE interfaces ID':
      controller.deleteInterface(id);
      return ok({});
    case 'PUT zones ID link':
      controller.setZoneLink(id, LinkSchema.parse(body).up);
      return ok({});
    case 'POST listener':
      controller.refuseConnections(ListenerSchema.parse(body).closedForMs);
      return ok({});
    default:
      return { status: 404, body: { error: `nothing at ${route}` } };
  }
}
