/** How a resource's detail begins where somebody has to do something about it: `quorate status` says it first. */
export const DEGRADED = 'degraded: ';
