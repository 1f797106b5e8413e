import type { Plugin } from 'esbuild';

export const shakeable: Plugin;
