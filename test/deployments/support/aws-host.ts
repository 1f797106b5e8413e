/** What the AWS stack writes on its hosts, for given parameters. */
import { parse } from 'yaml';
import { type JsonMap, parseTemplate, Stack } from './cloudformation.ts';
import { text } from './files.ts';

export const template = parseTemplate(text('cluster/aws/template.yaml'));

const PARAMETERS = {
  ZoneA: 'us-east-1a',
  ZoneB: 'us-east-1b',
  ZoneW: 'us-east-1c',
  ClientCidr: '203.0.113.0/24',
  PackageUrl: 'https://files.example/quorate_0.1.0_amd64.deb',
  PackageSha256: '0'.repeat(64),
};

type Parameters = Readonly<Record<string, string>>;

export function userData(more: Parameters = {}): string {
  const launch = template.Resources.HostTemplate?.Properties.LaunchTemplateData as JsonMap;
  return String(new Stack(template, { ...PARAMETERS, ...more }).evaluate(launch.UserData ?? null));
}

export interface WrittenFile {
  readonly path: string;
  readonly content: string;
}

export function writtenFiles(more: Parameters = {}): readonly WrittenFile[] {
  return parse(userData(more)).write_files as WrittenFile[];
}

export function written(path: string, more: Parameters = {}): string {
  const found = writtenFiles(more).find((file) => file.path === path);
  if (found === undefined) throw new Error(`the user data writes no ${path}`);
  return found.content;
}
