export { Capture } from './capture.ts';
export { type FilterRequest, filterOf } from './filter.ts';
export { describe, type InspectItem, itemSchema, type WireItem, wireItem } from './item.ts';
export { CHANNELS, KINDS } from './kinds.ts';
export { MOST_VIEWERS, Tap, type TapOptions } from './tap.ts';
export { VIEWER_LIMITS, type Viewer } from './viewer.ts';
