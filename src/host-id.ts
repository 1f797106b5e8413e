/** By what ZFS tells hosts from each other: the module's own number, which it took from /etc/hostid. */
export const HOST_ID_FILE = '/sys/module/spl/parameters/spl_hostid';

/** Of that file's text, in hexadecimal as ZFS shows it; null: none is set, or the module is not loaded. */
export function readHostId(text: string | null): string | null {
  const digits = /^(\d{1,10})\n?$/.exec(text ?? '')?.[1];
  const id = Number(digits ?? 0);
  return id > 0 && id <= 0xffff_ffff ? id.toString(16) : null;
}
