// Writes to a socket that nobody else writes to, at once, until as much as its owner allows waits in it. Not its reading
// and not its end.
import { SocketOutput } from "./socket-output.ts";

export class SocketWriter extends SocketOutput {
  /** Nothing of what was written waits in the process. */
  get isEmpty(): boolean {
    return this.isSent;
  }

  /** Latin1 text. @returns false when no more should come until the socket's 'drain' */
  write(text: string): boolean {
    this.sendText(text);
    return this.hasRoom();
  }

  /** Bytes that nobody changes until `isEmpty`. @returns as `write` */
  writeBytes(bytes: Buffer): boolean {
    this.sendBytes(bytes);
    return this.hasRoom();
  }
}
