/**
 * What generic clients and probes expect of any gRPC server: reflection, and `grpc.health.v1`. Both behind the same certificates
 * as everything else. Loaded by a server only: commands need none of it.
 */
import type { UntypedServiceImplementation } from '@grpc/grpc-js';
import { loadSync, type PackageDefinition } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation, protoPath } from 'grpc-health-check';
import { adminPackage, errorModel } from './proto.ts';

type Services = readonly [definition: PackageService, implementation: UntypedServiceImplementation][];
type PackageService = Parameters<Parameters<Collector['addToServer']>[0]['addService']>[0];
interface Collector {
  addToServer(server: {
    addService(
      definition: import('@grpc/grpc-js').ServiceDefinition,
      implementation: UntypedServiceImplementation,
    ): void;
  }): void;
}

/** As health names the service of admin.proto; the empty name stands for the whole server. */
const SERVICE = 'quorate.v1.Admin';
const WATCH_PERIOD_MS = 1_000;

export interface Health {
  readonly services: Services;
  /** Before each question: what was true a moment ago may not be. */
  refresh(): void;
  end(): void;
}

function servicesOf(collector: Collector): Services {
  const services: [PackageService, UntypedServiceImplementation][] = [];
  collector.addToServer({
    addService: (definition, implementation) => void services.push([definition, implementation]),
  });
  return services;
}

/** SERVING exactly where the role check `health` says yes: agent, log and executor work. */
export function healthServices(isWell: () => boolean): Health {
  const health = new HealthImplementation();
  let last: boolean | null = null;
  const refresh = (): void => {
    const now = isWell();
    if (now === last) return;
    last = now;
    for (const name of ['', SERVICE]) health.setStatus(name, now ? 'SERVING' : 'NOT_SERVING');
  };
  refresh();
  // For those who watch.
  const timer = setInterval(refresh, WATCH_PERIOD_MS);
  timer.unref();
  return { services: servicesOf(health), refresh, end: () => clearInterval(timer) };
}

export function reflectionServices(): Services {
  const described: PackageDefinition = { ...adminPackage(), ...errorModel(), ...loadSync(protoPath) };
  return servicesOf(new ReflectionService(described, { services: [SERVICE, 'grpc.health.v1.Health'] }));
}
