/** What one endpoint takes on. Bounds of single messages are the protocol's; these are of the whole. */

/** Open requests of all connections: each holds a KV cache of some megabytes. */
export const MAX_OPEN_REQUESTS = 256;

/** Sockets: each costs some kilobytes when idle and one frame while it sends. */
export const MAX_CONNECTIONS = 1024;

/**
 * Segments with sessions in memory, of one package. A session holds its own copy of its weights, so
 * this is what stands between a client that asks for every span and the machine's memory.
 */
export const MAX_LOADED_SEGMENTS = 12;

/**
 * 4 MiB of decoded input for one start or step: a minute of 16 kHz audio. Attention needs memory by
 * the square of its input, so what fits a frame easily can still exhaust the machine.
 */
export const MAX_INPUT_BYTES = 4 * 2 ** 20;

/** Ms that a request may wait for its next step: a page in the background still sends within this. */
export const IDLE_REQUEST_MS = 120_000;

/**
 * Bytes of steps that wait for an earlier one of the same request. A replay sends its steps without
 * waiting for answers; this holds thousands of them.
 */
export const MAX_WAITING_STEP_BYTES = 8 * 2 ** 20;

/** Empty steps cost memory too. */
export const MAX_WAITING_STEPS = 4096;

/**
 * Bytes queued towards one client before no more is read from it or made for it. One message more
 * than this may be queued for each open request.
 */
export const MAX_BUFFERED_BYTES = 4 * 2 ** 20;

/** Ms between signs of life that are asked of an idle connection; proxies drop silent ones at 60 s. */
export const HEARTBEAT_MS = 30_000;

/** A link on which nothing came or went for so many heartbeats is dead, whatever is still queued. */
export const MAX_SILENT_HEARTBEATS = 10;

/** Ms for the head of an HTTP request: a few hundred bytes. Stops clients that open and never speak. */
export const HEADERS_TIMEOUT_MS = 10_000;

/** Ms for a whole HTTP request: the largest body at 5 Mbit/s. */
export const REQUEST_TIMEOUT_MS = 120_000;

/** Ms for the closing handshake of a WebSocket before its socket is destroyed. */
export const CLOSE_TIMEOUT_MS = 1000;

/** Ms that requests get to finish when the endpoint stops. */
export const DEFAULT_GRACE_MS = 5000;

/** Lanes of all connections: each holds the KV cache of a text; see `MAX_STATE_BYTES` for their sum. */
export const MAX_OPEN_LANES = 256;

/**
 * 4 GiB of state in all lanes, as reckoned from the manifests: some hundred texts of a thousand tokens on
 * a model of a hundred million weights, a few on one of seven billion.
 */
export const MAX_STATE_BYTES = 4 * 2 ** 30;

/**
 * Ms without a call after which a lane's state is dropped: a person reads an answer and writes the next
 * question within this. The client fills another lane when it comes later.
 */
export const IDLE_LANE_MS = 600_000;

/**
 * Tokens of one uninterrupted turn of a loop, also while nobody waits: between turns its client's
 * socket gets time to drain and more room for state is asked for.
 */
export const MAX_SLICE_TOKENS = 256;
