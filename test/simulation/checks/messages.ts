/** What no message on the wire may say, whoever sends it. */
import type { Message } from '../../../src/core/index.ts';
import type { World } from '../engine/world.ts';
import type { SimulatedNode } from '../node/node.ts';

/** A frozen agent's timers and messages wait together: what left at the very instant of the deadline is in order. */
const SLACK_MS = 1;

export function checkMessage(world: World, sender: SimulatedNode, message: Message): void {
  if (message.kind !== 'heartbeat' && message.kind !== 'append') return;
  const { view } = sender;
  if (view === null || view.role.kind !== 'leader' || message.term !== view.hard.term) return;
  if (message.renounced) {
    world.marks.add('renounced-message');
    return;
  }
  // W3: a caretaker is renounced from its first message.
  if (view.isWitness)
    world.fail('caretaker-not-renounced', `${sender.id} leads as a witness and sets promises`);
  // L6: a leader that can send but not hear would keep everybody from electing another one.
  const { leadership } = view;
  const since = view.confirmedAt ?? leadership?.electedAt ?? view.now;
  const lateMs = view.now - (since + view.timing.leaseMs);
  if (message.kind === 'heartbeat' && lateMs > SLACK_MS)
    world.fail(
      'heartbeat-without-lease',
      `${sender.id} asks for promises ${lateMs.toFixed(0)} ms after its lease`,
    );
}
