import type { Scenario } from '../stage.ts';
import { isolation } from './isolation.ts';
import { powerCut } from './power-cut.ts';
import { staleStandby } from './stale-standby.ts';

export const SCENARIOS: readonly Scenario[] = [powerCut, isolation, staleStandby];
