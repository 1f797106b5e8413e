/** The links in a process of their own, told what to do over the IPC channel; it ends with its parent. */
import { assertNever } from '../../../src/core/index.ts';
import { serveParent } from '../node/parent.ts';
import { type CutMode, Links, type Route } from './links.ts';

export type LinksCommand =
  | { readonly kind: 'listen'; readonly routes: readonly Route[] }
  | { readonly kind: 'cut'; readonly from: string; readonly to: string; readonly mode: CutMode }
  | { readonly kind: 'heal'; readonly from: string; readonly to: string }
  | { readonly kind: 'heal-all' }
  | { readonly kind: 'darken'; readonly node: string }
  | { readonly kind: 'lighten'; readonly node: string };

export function runLinks(): void {
  const links = new Links();
  serveParent<LinksCommand>(async (command) => {
    switch (command.kind) {
      case 'listen':
        return links.listen(command.routes);
      case 'cut':
        return links.cut(command.from, command.to, command.mode);
      case 'heal':
        return links.heal(command.from, command.to);
      case 'heal-all':
        return links.healAll();
      case 'darken':
        return links.darken(command.node);
      case 'lighten':
        return links.lighten(command.node);
      default:
        return assertNever(command);
    }
  });
}
