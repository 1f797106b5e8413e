/** The peers' service as gRPC wants it: bytes in, whose meaning is the codec's to judge, which can refuse without ending a stream. */
import type { MethodDefinition } from '@grpc/grpc-js';
import { InvariantError } from '../core/index.ts';
import { type Acknowledged, METHOD } from './schema.ts';

function method<Answer>(
  path: string,
  isStream: boolean,
  responseSerialize: (answer: Answer) => Buffer,
): MethodDefinition<Buffer, Answer> {
  return {
    path,
    requestStream: isStream,
    responseStream: false,
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize,
    responseDeserialize: () => {
      throw new InvariantError('a server reads no answers');
    },
  };
}

const asIs = (bytes: Buffer): Buffer => bytes;
const nothing = (_: Acknowledged): Buffer => Buffer.alloc(0);

export const PEER_SERVICE = {
  heartbeats: method(METHOD.heartbeats, true, nothing),
  appends: method(METHOD.appends, true, nothing),
  reportReleased: method(METHOD.reportReleased, false, nothing),
  bootstrap: method(METHOD.bootstrap, false, nothing),
  facts: method(METHOD.facts, false, asIs),
  pair: method(METHOD.pair, false, asIs),
};
