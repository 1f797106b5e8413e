/** The resources as planner and operators see them: what stands on what. */
import { isCloud, type ResourceConfig } from './config.ts';

export interface ResourceNode {
  readonly name: string;
  readonly kind: ResourceConfig['kind'];
  readonly after: readonly string[];
  readonly scope: 'local' | 'cloud';
  /** Clients come in through it; given up, it makes them wait. */
  readonly isDoor: boolean;
}

export function graphOf(resources: readonly ResourceConfig[]): ResourceNode[] {
  return resources.map((resource) => {
    const { name, kind, after } = resource;
    return { name, kind, after, scope: isCloud(resource) ? 'cloud' : 'local', isDoor: kind === 'port-block' };
  });
}
