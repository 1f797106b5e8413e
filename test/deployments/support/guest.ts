/** A host of its own, booted by guest.sh: real systemd, an empty network, this machine's programs. Needs root. */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SCRIPT = fileURLToPath(new URL('./guest.sh', import.meta.url));
const SYSTEMD = '/lib/systemd/systemd';
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const BOOT_LIMIT_MS = 30_000;
const COMMAND_LIMIT_MS = 120_000;
const POLL_MS = 50;

/** Null where a guest can be booted; otherwise why not, in words for the one who reads that a test was skipped. */
export function whyNoGuest(): string | null {
  if (process.getuid?.() !== 0) return 'needs root';
  if (!existsSync(SYSTEMD)) return `needs ${SYSTEMD}`;
  // The units name this one.
  if (!existsSync('/usr/bin/node')) return 'needs /usr/bin/node';
  const directory = mkdtempSync(join(tmpdir(), 'quorate-guest-'));
  try {
    const mounts = `mount -t tmpfs t "$0" && mkdir "$0/u" "$0/w" "$0/r" && mount -t overlay o -o "lowerdir=/,upperdir=$0/u,workdir=$0/w" "$0/r" && mount -t proc p "$0/r/proc"`;
    const namespaces = ['--mount', '--pid', '--fork', '--cgroup', '--net', '--uts', '--ipc'];
    execFileSync('unshare', [...namespaces, 'sh', '-c', mounts, directory], { stdio: 'pipe' });
    return null;
  } catch {
    return 'needs namespaces and overlay mounts';
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

export class Guest {
  readonly #directory = mkdtempSync(join(tmpdir(), 'quorate-guest-'));
  readonly #name = basename(this.#directory);
  readonly #process: ChildProcess;
  /** Of the guest's systemd, as this machine counts. */
  #init = 0;

  private constructor() {
    // The guest ends with the test's process, also where that is killed.
    const command = ['--pdeathsig', 'KILL', 'bash', SCRIPT, this.#directory, this.#name];
    this.#process = spawn('setpriv', command, { stdio: 'ignore' });
  }

  static async boot(): Promise<Guest> {
    const guest = new Guest();
    try {
      const end = Date.now() + BOOT_LIMIT_MS;
      for (;;) {
        guest.#init = guest.#findInit();
        const state = guest.#init === 0 ? '' : await guest.say('systemctl is-system-running');
        if (/running|degraded/.test(state)) return guest;
        if (Date.now() > end) throw new Error(`systemd does not come up in its namespaces (${state})`);
        await pause();
      }
    } catch (error) {
      await guest.end();
      throw error;
    }
  }

  /** What the command wrote on stdout; rejects where it fails, with what it wrote on stderr. */
  async run(command: string, input = ''): Promise<string> {
    const { code, stdout, stderr } = await this.#execute(command, input);
    if (code !== 0) throw new Error(`${command}: code ${code}: ${stderr}${stdout}`);
    return stdout.trim();
  }

  /** What it wrote on stdout and stderr, however it ended. */
  async say(command: string): Promise<string> {
    const { stdout, stderr } = await this.#execute(command, '');
    return `${stdout}${stderr}`.trim();
  }

  write(path: string, text: string | Buffer): Promise<string> {
    return this.run(
      `mkdir -p "$(dirname ${path})" && base64 -d > ${path}`,
      Buffer.from(text).toString('base64'),
    );
  }

  /** Until the command succeeds. */
  async until(command: string, limitMs: number): Promise<void> {
    const end = Date.now() + limitMs;
    while ((await this.#execute(command, '')).code !== 0) {
      if (Date.now() > end) throw new Error(`not within ${limitMs} ms: ${command}`);
      await pause();
    }
  }

  async end(): Promise<void> {
    const gone = new Promise<void>((resolve) => {
      if (this.#process.exitCode !== null || this.#process.signalCode !== null) resolve();
      else this.#process.once('exit', () => resolve());
    });
    // Its first process dies with it, and the kernel ends the namespace.
    this.#process.kill('SIGKILL');
    await gone;
    for (const hierarchy of ['systemd', 'unified', '.'])
      await removeGroup(join('/sys/fs/cgroup', hierarchy, this.#name));
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #execute(command: string, input: string): Promise<{ code: number; stdout: string; stderr: string }> {
    const namespaces = ['-m', '-p', '-n', '-u', '-i', '-C', '-r', '-w'];
    return new Promise((resolve) => {
      const child = execFile(
        // In a session of its own: what a command of a test signals by mistake must not be this machine's.
        'setsid',
        ['--wait', 'nsenter', '-t', String(this.#init), ...namespaces, '--', '/bin/sh', '-c', command],
        // What this machine has in its PATH beside the system's own is not the guest's.
        { timeout: COMMAND_LIMIT_MS, maxBuffer: 10_000_000, env: { PATH } },
        (error, stdout, stderr) =>
          resolve({ code: error === null ? 0 : Number(error.code ?? 1) || 1, stdout, stderr }),
      );
      child.stdin?.on('error', () => undefined);
      child.stdin?.end(input);
    });
  }

  /** 0 while it is not there: the child of the process that we started, once it is systemd. */
  #findInit(): number {
    for (const entry of readdirSync('/proc')) {
      if (!/^\d+$/.test(entry)) continue;
      try {
        const stat = readFileSync(`/proc/${entry}/stat`, 'latin1');
        const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
        if (parent !== this.#process.pid) continue;
        if (readFileSync(`/proc/${entry}/cmdline`, 'latin1').startsWith(SYSTEMD)) return Number(entry);
      } catch {
        // It has just ended.
      }
    }
    return 0;
  }
}

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, POLL_MS));

/** A cgroup can be removed when its last process is gone; the kernel may need a moment for that. */
async function removeGroup(path: string): Promise<void> {
  const end = Date.now() + BOOT_LIMIT_MS;
  while (existsSync(path)) {
    try {
      removeGroups(path);
    } catch (error) {
      if (Date.now() > end) throw error;
      await pause();
    }
  }
}

function removeGroups(path: string): void {
  for (const entry of readdirSync(path, { withFileTypes: true }))
    if (entry.isDirectory()) removeGroups(join(path, entry.name));
  rmdirSync(path);
}
