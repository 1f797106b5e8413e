export { type CutMode, Links, type Route } from './links.ts';
export { type LinksCommand, runLinks } from './process.ts';
