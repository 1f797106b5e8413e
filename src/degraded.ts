/** How the detail of something begins that is held, or whose tenure goes on, although a part of it is lost (H6). */
export const DEGRADED = 'degraded: ';
