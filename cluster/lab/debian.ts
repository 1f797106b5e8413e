/**
 * Debian's packages, downloaded and unpacked, never installed. By an apt configuration of our own: `contrib` is in it (ZFS is
 * there), and no package counts as installed, so that everything that a guest needs is downloaded. The host's stays as it is.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const LIMIT_MS = 240_000;
const MAX_OUTPUT = 16 * 1024 * 1024;
const COMPONENTS = 'main contrib';
/** Debian's layout since 2023: what packages ship in the left ones lies in the right ones. */
const MERGED = ['bin', 'sbin', 'lib', 'lib64'] as const;
const UNWANTED = ['doc', 'man', 'locale', 'info', 'lintian'].map((name) => `--exclude=./usr/share/${name}/*`);

/** Its output; rejects with the last line of what it said when it ends badly. */
export function command(words: readonly string[], cwd = '/', limitMs = LIMIT_MS): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { cwd, timeout: limitMs, maxBuffer: MAX_OUTPUT };
    execFile(words[0] ?? '', words.slice(1), options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${words.join(' ')}: ${stderr.trim().split('\n').at(-1) || error.message}`));
    });
  });
}

/** What `apt-get indextargets` is asked for, a line for each list of packages. */
const TARGET = '$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)';

/** The host's own mirrors of Debian, with contrib. Pure. */
export function sourcesOf(targets: string): readonly string[] {
  const lines = targets.split('\n').flatMap((line) => {
    const [origin, mirror, release, component] = line.split('|');
    return origin === 'Debian' && component === 'main' ? [`deb ${mirror} ${release} ${COMPONENTS}`] : [];
  });
  return [...new Set(lines)];
}

/**
 * Of a source whose lists were never fetched apt does not say whose it is. That may be one of several: a new machine had those of
 * the release and not of its security updates, and got an older kernel. Pure.
 */
export function isOneUnknown(targets: string): boolean {
  const origins = targets
    .split('\n')
    .filter(Boolean)
    .map((line) => line.split('|')[0]);
  return origins.length === 0 || origins.includes('');
}

/** One paragraph of `apt-cache show`. Pure. */
export function fieldOf(paragraph: string, name: string): string | null {
  return new RegExp(`^${name}: (.*)$`, 'm').exec(paragraph)?.[1] ?? null;
}

/** The names in a Depends field: of alternatives the first, without versions. Pure. */
export function dependenciesOf(paragraph: string): readonly string[] {
  const field = fieldOf(paragraph, 'Depends') ?? '';
  return field.split(',').flatMap((one) => /^\s*([a-z0-9][a-z0-9.+-]*)/.exec(one)?.[1] ?? []);
}

export class Debian {
  readonly #options: readonly string[];

  private constructor(options: readonly string[]) {
    this.#options = options;
  }

  /** With lists as new as the mirror's. */
  static async open(folder: string): Promise<Debian> {
    const ask = (): Promise<string> =>
      command(['apt-get', 'indextargets', '--format', TARGET, 'Created-By: Packages']);
    let targets = await ask();
    if (isOneUnknown(targets)) {
      await command(['apt-get', '-qq', 'update']);
      targets = await ask();
    }
    const sources = sourcesOf(targets);
    if (sources.length === 0) throw new Error("the host's apt has no source of Debian's packages");
    const at = (name: string): string => join(folder, name);
    for (const name of ['lists/partial', 'cache/archives/partial']) mkdirSync(at(name), { recursive: true });
    writeFileSync(at('sources.list'), `${sources.join('\n')}\n`);
    const settings = [
      `Dir::Etc::sourcelist=${at('sources.list')}`,
      'Dir::Etc::sourceparts=/dev/null',
      `Dir::State::Lists=${at('lists')}`,
      'Dir::State::status=/dev/null',
      `Dir::Cache=${at('cache')}`,
      'APT::Sandbox::User=root',
      'Acquire::Retries=1',
      // Else a list that could not be fetched is left out with a warning, and so are its packages.
      'APT::Update::Error-Mode=any',
    ];
    const debian = new Debian(settings.flatMap((one) => ['-o', one]));
    await command(['apt-get', '-qq', ...debian.#options, 'update']);
    return debian;
  }

  /** The newest one's paragraph. */
  show(name: string): Promise<string> {
    return command(['apt-cache', ...this.#options, 'show', '--no-all-versions', name]);
  }

  /** Only these. */
  async download(names: readonly string[], folder: string): Promise<void> {
    mkdirSync(folder, { recursive: true });
    await command(['apt-get', '-qq', ...this.#options, 'download', ...names], folder);
  }

  /** These, and all that they depend on. */
  async downloadAll(names: readonly string[], folder: string): Promise<void> {
    mkdirSync(join(folder, 'partial'), { recursive: true });
    const how = [
      '--yes',
      '--download-only',
      '--no-install-recommends',
      '-o',
      `Dir::Cache::archives=${folder}`,
    ];
    await command(['apt-get', '-qq', ...this.#options, ...how, 'install', ...names]);
  }
}

/** All packages in a folder, except those whose file's name begins with one of `without`. */
export async function unpack(debs: string, root: string, without: readonly string[] = []): Promise<void> {
  for (const name of MERGED) mkdirSync(join(root, 'usr', name), { recursive: true });
  await command(['ln', '-sfn', '-t', root, ...MERGED.map((name) => `usr/${name}`)]);
  // Not `dpkg-deb -x`: it would put folders where the links are.
  const pipe = `set -o pipefail; deb=$1 root=$2; shift 2
    dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink -C "$root" "$@"`;
  for (const file of readdirSync(debs)) {
    if (!file.endsWith('.deb') || without.some((prefix) => file.startsWith(prefix))) continue;
    await command(['bash', '-c', pipe, 'unpack', join(debs, file), root, ...UNWANTED]);
  }
}
