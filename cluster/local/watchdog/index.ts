export { runWatchdogs, type WatchdogCommand, type WatchdogFired } from './process.ts';
export { Watchdog, type WatchdogOptions } from './watchdog.ts';
