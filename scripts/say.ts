/** Tells the person at the terminal what goes on, on stderr: stdout belongs to the program run. */
export function say(message: string): void {
  process.stderr.write(`parley: ${message}\n`);
}
