import { closeSync, openSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { ReadStream, WriteStream } from 'node:tty';
import { InputError } from '../core/errors.ts';
import { addSecret } from '../core/secrets.ts';

/**
 * Asks for a secret on the controlling terminal, whatever standard input is, without showing what is typed. No output shows it later.
 * @throws InputError where there is no terminal
 */
export async function askSecret(question: string): Promise<string> {
  const input = openTerminal('r');
  const output = openTerminal('w');
  const keyboard = new ReadStream(input);
  const screen = new WriteStream(output);
  // First nothing is shown any more of what is typed, then the question is put.
  const lines = createInterface({ input: keyboard, terminal: true });
  screen.write(`${question}: `);
  try {
    const answer = await new Promise<string>((resolve, reject) => {
      const refuse = (): void => reject(new InputError([{ message: 'no password was given' }]));
      lines.once('line', resolve);
      // Ctrl-C, and Ctrl-D or a terminal that is closed.
      lines.once('SIGINT', refuse);
      lines.once('close', refuse);
    });
    addSecret(answer);
    return answer;
  } finally {
    lines.close();
    keyboard.destroy();
    screen.write('\n');
    closeSync(output);
  }
}

function openTerminal(flags: 'r' | 'w'): number {
  try {
    return openSync('/dev/tty', flags);
  } catch {
    throw new InputError([
      {
        message: 'a password was to be asked for, but there is no terminal',
        hint: 'use a key or an agent, or set ansible_password or ansible_become_password in the inventory',
      },
    ]);
  }
}
