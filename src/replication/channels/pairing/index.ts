export { authorizedFile, authorizedPath, markerOf } from './authorized-keys.ts';
export { readText } from './file.ts';
export { readPublicKey } from './keys.ts';
export { ownCommand } from './own-command.ts';
export { acceptOffer, type Offer, ownOffer, type Paired, type PairParts, sshChannelOf } from './pair.ts';
export { fingerprint, ownHostKeys } from './public-keys.ts';
