// What both sides have told each other in SETTINGS (RFC 9113 section 6.5.2, RFC 8441). Not what follows from it: that is
// for who owns windows and tables.
import {
  FRAME,
  FRAME_BYTES_DEFAULT,
  FRAME_BYTES_MAX,
  FRAME_HEADER_BYTES,
  HEADER_TABLE_DEFAULT,
  readUint32,
  SETTING,
  WINDOW_DEFAULT,
  WINDOW_MAX,
  writeFrameHeader,
  writeUint32,
} from "./frame.ts";
import type { Http2Limits } from "./limits.ts";
import type { RefusalDetail } from "./refusal.ts";

const ENTRY_BYTES = 6;
/** Nobody who says nothing is sent more at a time before its SETTINGS are here. */
const STREAMS_BEFORE_SETTINGS = 100;
const UNLIMITED = 0xffffffff;

export class PeerSettings {
  headerTableSize = HEADER_TABLE_DEFAULT;
  /** The smallest that the last SETTINGS frame has said on the way there: its table has lost what does not fit into that. */
  headerTableLeast = HEADER_TABLE_DEFAULT;
  streamsMax = STREAMS_BEFORE_SETTINGS;
  initialWindow = WINDOW_DEFAULT;
  frameBytesMax = FRAME_BYTES_DEFAULT;
  /** Advice: what is larger is likely to be refused. */
  headerListBytesMax = UNLIMITED;
  allowsConnectProtocol = false;
  /** A first SETTINGS frame has come. */
  isKnown = false;

  /** Takes the values in bytes[start, end), in their order. @returns the rule that one of them breaks */
  apply(bytes: Uint8Array, start: number, end: number, isFromServer: boolean): RefusalDetail | undefined {
    if (!this.isKnown) {
      this.isKnown = true;
      this.streamsMax = UNLIMITED;
    }
    this.headerTableLeast = UNLIMITED;
    for (let at = start; at < end; at += ENTRY_BYTES) {
      const id = ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
      const fault = this.#set(id, readUint32(bytes, at + 2), isFromServer);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  #set(id: number, value: number, isFromServer: boolean): RefusalDetail | undefined {
    switch (id) {
      case SETTING.headerTableSize:
        this.headerTableSize = value;
        this.headerTableLeast = Math.min(this.headerTableLeast, value);
        return undefined;
      case SETTING.enablePush:
        // A server must not say 1 (section 6.5.2); nothing is pushed here either way.
        return value > 1 || (isFromServer && value === 1) ? "bad-setting" : undefined;
      case SETTING.maxConcurrentStreams:
        this.streamsMax = value;
        return undefined;
      case SETTING.initialWindowSize:
        if (value > WINDOW_MAX) return "bad-initial-window";
        this.initialWindow = value;
        return undefined;
      case SETTING.maxFrameSize:
        if (value < FRAME_BYTES_DEFAULT || value > FRAME_BYTES_MAX) return "bad-setting";
        this.frameBytesMax = value;
        return undefined;
      case SETTING.maxHeaderListSize:
        this.headerListBytesMax = value;
        return undefined;
      case SETTING.enableConnectProtocol:
        // RFC 8441 section 3: once allowed it stays so.
        if (value > 1 || (value === 0 && this.allowsConnectProtocol)) return "bad-setting";
        this.allowsConnectProtocol = value === 1;
        return undefined;
    }
    return undefined;
  }
}

/** At most so many octets does the frame of own settings take. */
export const OWN_SETTINGS_BYTES: number = FRAME_HEADER_BYTES + 7 * ENTRY_BYTES;

/** Writes our SETTINGS frame; values that are the protocol's defaults are left out. @returns the position behind it */
export function writeOwnSettings(limits: Http2Limits, isServer: boolean, out: Uint8Array, at: number): number {
  let end = at + FRAME_HEADER_BYTES;
  const put = (id: number, value: number): void => {
    out[end] = 0;
    out[end + 1] = id;
    end = writeUint32(out, end + 2, value);
  };
  if (limits.headerTableBytes !== HEADER_TABLE_DEFAULT) put(SETTING.headerTableSize, limits.headerTableBytes);
  if (!isServer) put(SETTING.enablePush, 0);
  if (isServer) put(SETTING.maxConcurrentStreams, limits.streamsMax);
  put(SETTING.initialWindowSize, limits.streamWindowBytes);
  if (limits.frameBytesMax !== FRAME_BYTES_DEFAULT) put(SETTING.maxFrameSize, limits.frameBytesMax);
  put(SETTING.maxHeaderListSize, limits.headerListBytesMax);
  if (isServer && limits.allowsConnectProtocol) put(SETTING.enableConnectProtocol, 1);
  writeFrameHeader(out, at, end - at - FRAME_HEADER_BYTES, FRAME.settings, 0, 0);
  return end;
}
