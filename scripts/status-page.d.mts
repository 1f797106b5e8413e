export function bundleStatusPage(): Promise<string>;
