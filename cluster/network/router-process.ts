/** The embedded VPC controller in the router's namespace, told what to do over the IPC channel; it ends with its parent. */
import { assertNever } from '../../src/core/index.ts';
import { type ControllerStateInput, type FaultsInput, VpcController } from '../local/controller/index.ts';
import { serveParent } from '../local/node/index.ts';
import { Router, type RouterOptions } from './router.ts';

export type RouterCommand =
  | {
      readonly kind: 'start';
      readonly state: ControllerStateInput;
      readonly listen: { readonly host: string; readonly port: number };
      readonly seed: number;
      readonly router: RouterOptions;
    }
  | { readonly kind: 'faults'; readonly faults: FaultsInput }
  | { readonly kind: 'power'; readonly instance: string; readonly action: 'crash' | 'start' }
  | { readonly kind: 'look' };

/** The truth about who has what, for `look` and by itself whenever it changes. */
export interface RouterNews {
  readonly kind: 'truth';
  /** Allocation id to interface id. */
  readonly addresses: Readonly<Record<string, string | null>>;
  /** `table destination` to interface id. */
  readonly routes: Readonly<Record<string, string | null>>;
}

export function runRouter(): void {
  let controller: VpcController | null = null;
  const started = (): VpcController => {
    if (controller === null) throw new Error('the controller is not started');
    return controller;
  };
  serveParent<RouterCommand>(async (command) => {
    switch (command.kind) {
      case 'start': {
        const { state, listen, seed, router } = command;
        controller = new VpcController({
          state,
          listen,
          seed,
          backend: (world) => new Router(router, world),
          onProblem: (event, detail) => process.stderr.write(`${JSON.stringify({ event, ...detail })}\n`),
        });
        return controller.start();
      }
      case 'faults':
        return started().setFaults(command.faults);
      case 'power':
        return started().power(command.instance, command.action, { hook: false });
      case 'look':
        process.send?.(truth(started()));
        return;
      default:
        return assertNever(command);
    }
  });
}

function truth({ world }: VpcController): RouterNews {
  const addresses = [...world.addresses.values()].map(({ allocationId, association }) => {
    return [allocationId, association?.interfaceId ?? null] as const;
  });
  const routes = [...world.routeTables.values()].flatMap((table) =>
    table.routes
      .filter(({ target }) => target.kind === 'interface')
      .map(({ destination, target }) => [`${table.id} ${destination}`, target.id] as const),
  );
  return { kind: 'truth', addresses: Object.fromEntries(addresses), routes: Object.fromEntries(routes) };
}
