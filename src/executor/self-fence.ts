/** R1: what outlives D means self-fencing. Injected, and off outside a real host or a guest of the lab. */
import { writeFileSync } from 'node:fs';

export type SelfFence = (why: string) => void;

export const noFence: SelfFence = () => undefined;

/** `b` reboots at once, without syncing: that is the point. */
export const sysrqFence: SelfFence = () => {
  try {
    writeFileSync('/proc/sys/kernel/sysrq', '1');
  } catch {
    // Allowed already, or not at all; the trigger below decides.
  }
  try {
    writeFileSync('/proc/sysrq-trigger', 'b');
  } catch (error) {
    // A kernel without it: the watchdog is what is left, and it is not petted any more (R1).
    process.stderr.write(
      `${JSON.stringify({ level: 60, event: 'self-fence-failed', msg: String(error) })}\n`,
    );
  }
};
