/** The client host's process: a writer through the elastic IP, told what to do over the IPC channel. */
import { assertNever } from '../../src/core/index.ts';
import { type Acknowledgement, type Patience, Writer } from '../local/demo/writer.ts';
import { serveParent } from '../local/node/index.ts';
import { ELASTIC_IP, PORT } from './hosts.ts';
import { now } from './now.ts';

export type ClientCommand =
  | { readonly kind: 'write'; readonly seed: number; readonly pauseMs: number; readonly patience: Patience }
  | { readonly kind: 'stop' }
  /** Reads every record through the elastic IP. */
  | { readonly kind: 'verify' };

export type ClientNews =
  | { readonly kind: 'acknowledged'; readonly acknowledgements: readonly Acknowledgement[] }
  | { readonly kind: 'verified'; readonly acknowledged: number; readonly lost: readonly number[] };

const REPORT_EVERY_MS = 25;

export function runClient(): void {
  const address = { host: ELASTIC_IP, port: PORT.store };
  let writer: Writer | null = null;
  let fresh: Acknowledgement[] = [];
  const tell = (news: ClientNews): void => void process.send?.(news);
  const report = (): void => {
    if (fresh.length === 0) return;
    tell({ kind: 'acknowledged', acknowledgements: fresh });
    fresh = [];
  };
  setInterval(report, REPORT_EVERY_MS).unref();
  const started = (): Writer => {
    if (writer === null) throw new Error('nothing is being written');
    return writer;
  };
  serveParent<ClientCommand>(async (command) => {
    switch (command.kind) {
      case 'write': {
        const onAcknowledged = (one: Acknowledgement): void => void fresh.push(one);
        writer = new Writer(address, command.seed, {
          now,
          patience: command.patience,
          pauseMs: command.pauseMs,
          onAcknowledged,
        });
        writer.start();
        return;
      }
      case 'stop':
        await started().stop();
        report();
        return;
      case 'verify': {
        const lost = await started().lost();
        tell({ kind: 'verified', acknowledged: started().acknowledged, lost });
        return;
      }
      default:
        return assertNever(command);
    }
  });
}
