/**
 * The VPC controller in a process of its own, independent of the host's event loop. It cuts a node's power itself, so
 * that `stopped` is true when EC2 says so (R5), and tells its parent.
 */
import { type ControllerStateInput, VpcController } from './controller/index.ts';
import { killProcesses, serveParent } from './node/index.ts';

export interface ControllerCommand {
  readonly kind: 'start';
  readonly state: ControllerStateInput;
  readonly listen: { readonly host: string; readonly port: number };
  readonly seed: number;
  /** Instance id to the tag of the node's processes. */
  readonly tags: Readonly<Record<string, string>>;
}

export interface PowerNews {
  readonly kind: 'power';
  readonly instance: string;
  readonly action: 'stop' | 'start';
}

export function runController(): void {
  serveParent<ControllerCommand>(async ({ state, listen, seed, tags }) => {
    const controller = new VpcController({
      state,
      listen,
      seed,
      onPower: (instance, action) => {
        const tag = tags[instance];
        if (action === 'stop' && tag !== undefined) killProcesses(tag);
        process.send?.({ kind: 'power', instance, action } satisfies PowerNews);
      },
      onProblem: (event, detail) => process.stderr.write(`${JSON.stringify({ event, ...detail })}\n`),
    });
    await controller.start();
  });
}
