/** Milliseconds of CLOCK_MONOTONIC: one clock for all processes of this machine. */
export const now = (): number => Number(process.hrtime.bigint()) / 1e6;
