/** A connection to an endpoint that carries whole binary frames in order, both ways. */
export interface FrameConnection {
  /** Queues one frame. Throws `endpoint-lost` once the connection is closed. */
  send(frame: Uint8Array): void;
  /** Bytes queued but not yet given to the network; 0 where unknown. */
  readonly buffered: number;
  /** Replaces the handler for incoming frames; frames are never delivered before one is set. */
  onFrame(handler: (frame: Uint8Array) => void): void;
  /** Called once, with `undefined` after a clean close and an `endpoint-lost` error otherwise. */
  onClose(handler: (error: Error | undefined) => void): void;
  close(): void;
}

export interface ConnectOptions {
  readonly signal?: AbortSignal;
  /** Ms until a connection attempt counts as failed. */
  readonly timeoutMs?: number;
}

/** Opens a connection; rejects with `endpoint-lost`. */
export type Connect = (options?: ConnectOptions) => Promise<FrameConnection>;

/** What passed, as counted at the connection: frames and their bytes, headers included. */
export interface Traffic {
  readonly framesUp: number;
  readonly bytesUp: number;
  readonly framesDown: number;
  readonly bytesDown: number;
}
