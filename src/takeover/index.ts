export {
  foundationsOf,
  inOrder,
  type Observed,
  type Plan,
  type PlanResource,
  planRelease,
  planRepair,
  planTakeover,
  type Step,
} from './planner.ts';
export { type PlanReport, type RunOptions, runPlan, type StepReport } from './runner.ts';
