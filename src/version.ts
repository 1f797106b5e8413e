/** Of the commands and the agent; nodes tell it to each other (`quorate doctor`). */
export const VERSION = '0.1.0';
