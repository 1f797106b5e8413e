/** How this program is called on this host, for a line that outlives its version. */
const PACKAGE_LIBRARY = '/usr/lib/quorate/';
const PACKAGE_COMMAND = '/usr/bin/quorate';

/** The Debian package keeps each version in a folder of its own, which the next one removes: its command stays. */
export function ownCommand(script: string = process.argv[1] ?? ''): readonly string[] {
  return script.startsWith(PACKAGE_LIBRARY) ? [PACKAGE_COMMAND] : [process.execPath, script];
}
