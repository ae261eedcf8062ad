/** The session: one package, one device, perhaps an endpoint, and requests one after another. */
import type { Clock } from '../core/clock.ts';
import type { Codec } from '../core/span.ts';
import type { TensorMap } from '../core/tensor.ts';
import { IsthmusError, isIsthmusError, throwIfAborted, toIsthmusError } from '../errors.ts';
import { type LinkState, NEW_LINK } from '../link/estimator.ts';
import { planProbe, sendProbe } from '../link/probe.ts';
import type { Manifest } from '../package/manifest.ts';
import { stageAt } from '../package/segments.ts';
import { type Choice, type ChooseInput, choosePlan, type PlanLimit, pricePlans } from '../planner/choose.ts';
import type { EndpointState, PricedPlan, Workload } from '../planner/types.ts';
import type { DeviceRunner, ExecutionProvider } from '../runtime/runner.ts';
import type { JsonStore } from '../storage/json-store.ts';
import type { Connect } from '../transport/transport.ts';
import { DeviceSide } from './device-side.ts';
import { EndpointLink } from './endpoint-link.ts';
import { type Executed, executePlan } from './execute.ts';
import { Knowledge } from './knowledge.ts';
import { guessProvider, measureProvider, type ProviderTools, tryRival } from './providers.ts';
import { reportOf } from './report.ts';
import type {
  Explanation,
  PlanChoice,
  RequestReport,
  RunOptions,
  RunOutcome,
  Session,
  SessionEvent,
} from './types.ts';

/** Codecs that cannot change a token in practice; `int8` is opt-in. */
const DEFAULT_CODECS: readonly Codec[] = ['fp32', 'fp16'];

/** Ms that a request waits for the first connection when it could also run here. */
const FIRST_CONNECT_WAIT_MS = 1_500;

/** Tokens of one request where the package names no bound. */
const DEFAULT_MAX_TOKENS = 448;

/** Workers restarted within one request; a second loss is a defect, not an accident. */
const MAX_RESTARTS = 1;

/** What differs between a browser, Node and tests. */
export interface SessionParts {
  readonly manifest: Manifest;
  /** SHA-256 over what identifies the model's contents. */
  readonly modelId: string;
  readonly runner: DeviceRunner;
  /** Starts another runner on the same package. */
  readonly startRunner: (provider: ExecutionProvider) => Promise<DeviceRunner>;
  /** Providers worth measuring against `runner`'s, e.g. `webgpu` where an adapter answers. */
  readonly rivals: () => Promise<readonly ExecutionProvider[]>;
  readonly connect?: Connect;
  /** True when weights come from another place than the endpoint. */
  readonly weightsElsewhere: boolean;
  readonly profiles: JsonStore;
  readonly clock: Clock;
  readonly agent: string;
}

export interface OpenOptions {
  readonly plan?: PlanChoice;
  readonly codecs?: readonly Codec[];
  readonly fallback?: boolean;
  readonly prefetch?: boolean;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: SessionEvent) => void;
}

export async function openSession(parts: SessionParts, options: OpenOptions = {}): Promise<Session> {
  const session = new LiveSession(parts, options);
  try {
    await session.prepare(options.signal);
    return session;
  } catch (error) {
    await session.close();
    throw error;
  }
}

class LiveSession implements Session {
  readonly manifest: Manifest;
  readonly #parts: SessionParts;
  readonly #options: OpenOptions;
  readonly #device: DeviceSide;
  readonly #knowledge: Knowledge;
  readonly #link: EndpointLink | undefined;
  readonly #emit: (event: SessionEvent) => void;
  readonly #stop = new AbortController();
  /** Resolves when the request under way, and all that wait before it, are over. */
  #last: Promise<unknown> = Promise.resolve();
  #active = 0;
  #closed = false;

  constructor(parts: SessionParts, options: OpenOptions) {
    const { manifest, clock } = parts;
    this.manifest = manifest;
    this.#parts = parts;
    this.#options = options;
    this.#emit = (event) => options.onEvent?.(event);
    this.#device = new DeviceSide(manifest, parts.runner, clock);
    this.#knowledge = new Knowledge(manifest, parts.profiles, clock);
    this.#link =
      parts.connect === undefined
        ? undefined
        : new EndpointLink({
            connect: parts.connect,
            clock,
            model: manifest.name,
            onState: (state) => this.#emit({ type: 'endpoint', state }),
          });
  }

  get provider(): ExecutionProvider {
    return this.#device.runner.provider;
  }

  get threads(): number {
    return this.#device.runner.threads;
  }

  /** Measures what a first plan needs; the rest goes on behind it. */
  async prepare(signal: AbortSignal | undefined): Promise<void> {
    this.#background(this.#meetEndpoint());
    const measured = await this.#measure(signal);
    this.#knowledge.useDevice(measured.learned, measured.profile);
    await this.#device.refreshMissing();
    this.#reportWeights();
    this.#background(this.#fetchAhead());
    this.#background(this.#seekProvider(measured));
  }

  async explain(workload?: Workload): Promise<Explanation> {
    this.#checkOpen();
    await this.#device.refreshMissing();
    const work = workload ?? this.#typicalWorkload();
    const input = this.#planningInput(work, this.#options.plan ?? 'auto', []);
    const link = this.#knowledge.estimateLink();
    const { plans } = pricePlans(input);
    let choice: Choice;
    try {
      choice = choosePlan(input);
    } catch (error) {
      const [first] = plans;
      if (first === undefined || !isIsthmusError(error)) throw error;
      choice = { chosen: first, reason: error.message, plans };
    }
    return { ...choice, link, endpoint: this.#endpointState(), workload: work };
  }

  async prefetch(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    this.#checkOpen();
    const whole = this.manifest.blocks.length;
    const total = this.#wholeBytes();
    await this.#device.refreshMissing();
    const held = total - this.#device.missingBytes(whole);
    await this.#device.runner.fetchFiles(this.#device.files(whole), {
      onProgress: (done) => this.#emit({ type: 'weights', done: held + done, total }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    await this.#device.refreshMissing();
    this.#reportWeights();
  }

  readFile(path: string): Promise<Uint8Array> {
    this.#checkOpen();
    return this.#device.runner.readFile(path);
  }

  async run(options: RunOptions): Promise<RunOutcome> {
    this.#checkOpen();
    const before = this.#last;
    const mine = before.then(() => this.#request(options));
    this.#last = mine.catch(() => undefined);
    return mine;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#stop.abort();
    await this.#link?.close();
    await this.#device.close();
    await this.#parts.profiles.close();
  }

  async #request(options: RunOptions): Promise<RunOutcome> {
    this.#checkOpen();
    throwIfAborted(options.signal);
    this.#active += 1;
    try {
      return await this.#attempts(options);
    } finally {
      this.#active -= 1;
    }
  }

  /** Plans and runs until one plan succeeds or none is left. */
  async #attempts(options: RunOptions): Promise<RunOutcome> {
    const { clock } = this.#parts;
    const started = clock.now();
    const maxTokens = Math.max(
      1,
      options.maxTokens ?? this.manifest.generation?.maxTokens ?? DEFAULT_MAX_TOKENS,
    );
    const workload = this.#workload(options.inputs, maxTokens);
    const tokens: number[] = [];
    const abandoned: { plan: string; error: IsthmusError }[] = [];
    const limits: PlanLimit[] = [];
    let choice = options.plan ?? this.#options.plan ?? 'auto';
    let ttftMs: number | undefined;
    let restarts = 0;
    for (;;) {
      await this.#refresh(choice, abandoned.length > 0);
      throwIfAborted(options.signal);
      let plan = choiceName(choice);
      try {
        const { chosen, reason } = choosePlan(this.#planningInput(workload, choice, limits));
        plan = chosen.id;
        this.#emit({ type: 'plan', plan: chosen, reason });
        const last = abandoned.at(-1);
        if (last !== undefined)
          this.#emit({ type: 'fallback', from: last.plan, to: plan, error: last.error });
        const executed = await this.#execute(chosen, options, maxTokens, tokens, () => {
          ttftMs ??= clock.now() - started;
        });
        const totalMs = clock.now() - started;
        await this.#learn(chosen, executed, workload, tokens.length, maxTokens);
        const finished = { plan: chosen, reason, abandoned, executed, totalMs, ttftMs: ttftMs ?? totalMs };
        const report = reportOf({ ...finished, blocks: this.manifest.blocks.length });
        return { tokens, outputs: executed.outputs, report };
      } catch (thrown) {
        const error = toIsthmusError(thrown);
        const isLost = error.code === 'worker-lost' && restarts < MAX_RESTARTS;
        if (isLost) {
          restarts += 1;
          await this.#restart();
        }
        const next = isLost ? choice : this.#nextChoice(choice, error, abandoned);
        if (next === undefined) throw failure(error, abandoned);
        if (!isLost) limits.push(notAgain(plan, error));
        abandoned.push({ plan, error });
        choice = next;
      }
    }
  }

  /** What to try after a failure, or `undefined` when the failure is final. */
  #nextChoice(
    choice: PlanChoice,
    error: IsthmusError,
    abandoned: RequestReport['abandoned'],
  ): PlanChoice | undefined {
    if (this.#options.fallback === false || !isPassing(error)) return undefined;
    if (choice === 'auto')
      return error.code === 'no-plan' || error.code === 'weights-missing' ? undefined : 'auto';
    // A forced plan falls back once, and to the device alone.
    return choice === 'local' || abandoned.length > 0 ? undefined : 'local';
  }

  #execute(
    plan: PricedPlan,
    options: RunOptions,
    maxTokens: number,
    tokens: number[],
    onFirst: () => void,
  ): Promise<Executed> {
    const { signal } = options;
    const work = {
      manifest: this.manifest,
      inputs: options.inputs,
      maxTokens,
      prefix: [...tokens],
      clock: this.#parts.clock,
      onToken: (token: number) => {
        onFirst();
        tokens.push(token);
        options.onToken?.(token);
      },
      ...(signal === undefined ? {} : { signal }),
    };
    return executePlan(plan, work, {
      device: (cut) => this.#device.executor(cut, signal === undefined ? {} : { signal }),
      generate: (request, how) => this.#device.runner.generate(request, how),
      link: this.#link,
      observe: (observation) => this.#knowledge.observeLink(observation),
    });
  }

  async #learn(
    plan: PricedPlan,
    executed: Executed,
    workload: Workload,
    tokens: number,
    bound: number,
  ): Promise<void> {
    const done = { units: workload.units, tokens };
    await this.#knowledge.observeDevice(executed.deviceMs, done);
    if (executed.endpoint !== undefined) {
      this.#knowledge.observeEndpoint(executed.endpoint, Math.max(1, executed.roundTrips), done);
    }
    if (plan.cut >= 0 && this.#hasLoop()) this.#knowledge.observeTokens(tokens, bound);
  }

  /** Brings what the choice rests on up to date: weights that arrived, an endpoint that may be back. */
  async #refresh(choice: PlanChoice, isRetry: boolean): Promise<void> {
    const whole = this.manifest.blocks.length;
    if (this.#device.missingBytes(whole) > 0) await this.#device.refreshMissing();
    const link = this.#link;
    if (link === undefined || link.state === 'up' || choice === 'local' || isRetry) return;
    const canRunHere =
      this.#device.missingBytes(whole) === 0 && (choice === 'auto' || this.#options.fallback !== false);
    const attempt = this.#meetEndpoint();
    if (!canRunHere) await attempt;
    // A first connection is worth a moment; an endpoint that is known to be down is looked for meanwhile.
    else if (link.state === 'unknown') await Promise.race([attempt, delay(FIRST_CONNECT_WAIT_MS)]);
    else this.#background(attempt);
  }

  #planningInput(workload: Workload, choice: PlanChoice, limits: readonly PlanLimit[]): ChooseInput {
    const hasEndpoint = this.#link !== undefined;
    return {
      manifest: this.manifest,
      workload,
      device: this.#knowledge.device,
      ...(hasEndpoint ? { endpoint: this.#knowledge.endpoint } : {}),
      link: this.#knowledge.estimateLink(),
      missingWeightBytes: (cut) => this.#device.missingBytes(cut),
      loadMs: (cut) => this.#device.loadMs(cut),
      choice,
      codecs: this.#options.codecs ?? DEFAULT_CODECS,
      endpointState: this.#endpointState(),
      weightsReachable: !hasEndpoint || this.#parts.weightsElsewhere || this.#endpointState() !== 'down',
      limits,
    };
  }

  #endpointState(): EndpointState {
    return this.#link?.state ?? 'down';
  }

  /** Connects, and measures the link when it is new. Failure is a state, not an error. */
  async #meetEndpoint(): Promise<void> {
    const link = this.#link;
    if (link === undefined) return;
    try {
      await link.ready();
      await this.#probe(link);
    } catch (error) {
      if (!isIsthmusError(error)) throw error;
    }
  }

  async #probe(link: EndpointLink): Promise<void> {
    const state: LinkState = this.#knowledge.link;
    if (state !== NEW_LINK) return;
    const { clock } = this.#parts;
    const probe = planProbe(state, { quietMs: Infinity, probes: 0 }, clock.now());
    if (probe === undefined) return;
    const ping = (replyBytes: number, padding: Uint8Array): Promise<number> => link.ping(replyBytes, padding);
    for (const observation of await sendProbe(probe, ping)) this.#knowledge.observeLink(observation);
  }

  async #measure(signal: AbortSignal | undefined) {
    try {
      return await measureProvider(this.#device.runner, this.#providerTools(), signal);
    } catch (error) {
      if (
        !isIsthmusError(error) ||
        !['endpoint-lost', 'weights-missing', 'missing-shard'].includes(error.code)
      )
        throw error;
      return guessProvider(this.#device.runner, this.#providerTools());
    }
  }

  #providerTools(): ProviderTools {
    const { clock, modelId, agent } = this.#parts;
    return {
      manifest: this.manifest,
      knowledge: this.#knowledge,
      clock,
      model: modelId,
      agent,
      onEvent: this.#emit,
    };
  }

  /** Looks whether another provider is faster here, and moves over between requests when it is. */
  async #seekProvider(measured: Awaited<ReturnType<typeof measureProvider>>): Promise<void> {
    for (const provider of await this.#parts.rivals()) {
      const better = await tryRival(
        { provider: this.provider, measured },
        { provider, start: () => this.#parts.startRunner(provider) },
        this.#typicalWorkload(),
        this.#providerTools(),
      );
      if (better === undefined) continue;
      await this.#last;
      this.#knowledge.useDevice(better.measured.learned, better.measured.profile);
      await this.#device.replace(better.runner);
    }
  }

  /** Fetches all weights file by file, standing back while a request needs the link, then builds. */
  async #fetchAhead(): Promise<void> {
    if (this.#options.prefetch === false) return;
    const whole = this.manifest.blocks.length;
    const { signal } = this.#stop;
    for (const file of this.#device.files(whole)) {
      while (this.#active > 0) await this.#last;
      if (signal.aborted) return;
      await this.#device.runner.fetchFiles([file], { signal });
      await this.#device.refreshMissing();
      this.#reportWeights();
    }
    while (this.#active > 0) await this.#last;
    await this.#device.executor(whole, { signal });
  }

  async #restart(): Promise<void> {
    await this.#device.replace(await this.#parts.startRunner(this.provider));
  }

  #reportWeights(): void {
    const total = this.#wholeBytes();
    const missing = this.#device.missingBytes(this.manifest.blocks.length);
    this.#emit({ type: 'weights', done: total - missing, total });
  }

  /** Bytes of everything that `local` needs. */
  #wholeBytes(): number {
    const files = this.#device.files(this.manifest.blocks.length);
    return files.reduce((sum, file) => sum + (this.manifest.files[file]?.bytes ?? 0), 0);
  }

  #hasLoop(): boolean {
    return this.manifest.stages.some((stage) => stage.kind === 'loop');
  }

  #workload(inputs: TensorMap, maxTokens: number): Workload {
    const stage = stageAt(this.manifest, 0);
    const units = stage.kind === 'once' ? (inputs[stage.extent.input]?.dims[stage.extent.axis] ?? 1) : 1;
    return { units, tokens: this.#hasLoop() ? this.#knowledge.expectedTokens(maxTokens) : 0 };
  }

  /** Four seconds of audio where the package is for audio, else a hundred rows. */
  #typicalWorkload(): Workload {
    const stage = stageAt(this.manifest, 0);
    const { audio } = this.manifest;
    const rows = stage.kind === 'once' && stage.rows.perUnit > 0 ? Math.round(100 / stage.rows.perUnit) : 100;
    const units = audio === undefined ? rows : 4 * audio.sampleRate;
    const bound = audio === undefined ? 100 : 4 * audio.maxTokensPerSecond;
    return { units, tokens: this.#hasLoop() ? this.#knowledge.expectedTokens(bound) : 0 };
  }

  #checkOpen(): void {
    if (this.#closed) throw new IsthmusError('closed', 'the session was closed');
  }

  /** Work that no one waits for: its failures show in the state that requests read. */
  #background(work: Promise<unknown>): void {
    work.catch((error: unknown) => {
      if (!isIsthmusError(error)) throw error;
    });
  }
}

function choiceName(choice: PlanChoice): string {
  return typeof choice === 'string' ? choice : `split@${choice.cut}`;
}

function notAgain(planId: string, error: IsthmusError): PlanLimit {
  return (plan) => (plan.id === planId ? `failed in this request: ${error.code}` : undefined);
}

/** Failures that another plan may escape. */
function isPassing(error: IsthmusError): boolean {
  return [
    'endpoint-lost',
    'endpoint-failed',
    'endpoint-stopping',
    'unknown-session',
    'unknown-model',
    'wrong-version',
    'limit-exceeded',
    'bad-frame',
    'run-failed',
    'weights-missing',
    'missing-shard',
    'bad-shard',
    'no-plan',
    'worker-lost',
    'internal',
  ].includes(error.code);
}

/** The last failure, told with those before it. */
function failure(error: IsthmusError, abandoned: RequestReport['abandoned']): IsthmusError {
  const [first] = abandoned;
  if (first === undefined) return error;
  return new IsthmusError(error.code, error.message, {
    details: { ...error.details, tried: abandoned.map(({ plan, error: { code } }) => ({ plan, code })) },
    cause: error,
  });
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
