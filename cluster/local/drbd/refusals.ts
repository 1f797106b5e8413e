/** DRBD stand-in: what the kernel answers to a state change that it refuses. */

/** A state change that the kernel refuses; the texts and numbers are those of drbd_strings.c. */
export interface Refusal {
  readonly number: number;
  readonly text: string;
  readonly exit: number;
}
export const REFUSED = {
  twoPrimaries: { number: -1, text: 'Multiple primaries not allowed by config', exit: 11 },
  noUpToDateDisk: { number: -2, text: 'Need access to UpToDate data', exit: 17 },
  connectedOutdates: { number: -6, text: 'Refusing to be Outdated while Connected', exit: 11 },
  peerNotOutdated: { number: -7, text: 'Refusing to be Primary while peer is not outdated', exit: 11 },
  heldOpen: { number: -12, text: 'Device is held open by someone', exit: 11 },
  lowerThanOutdated: { number: -16, text: 'Disk state is lower than outdated', exit: 5 },
} as const satisfies Record<string, Refusal>;
