/** The command `quorate`. Loads only what the command named needs: DRBD's handler runs while all I/O is suspended. */

const words = process.argv.slice(2);

const isFastHandler =
  words[0] === 'fence-peer' && words.some((word) => word === '--config' || word.startsWith('--config='));
if (isFastHandler && !words.some((word) => word === '--help' || word === '-h' || word === '--address')) {
  const { runFencePeer } = await import('./fence-peer.ts');
  process.exitCode = await runFencePeer(words.slice(1));
} else {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // The reader has gone (`quorate audit | head`): nothing is wrong, and nobody is left to be told.
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  const { run } = await import('./program.ts');
  process.exitCode = await run(words);
}

export {};
