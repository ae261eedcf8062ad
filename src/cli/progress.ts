/** How far a long command is: a bar on a terminal, lines for a log, JSON for a program, or nothing. */
import { UsageError } from './flags.ts';
import { bytesText } from './inspect-table.ts';

export const PROGRESS_FORMS = ['bar', 'lines', 'json', 'none'] as const;
export type ProgressForm = (typeof PROGRESS_FORMS)[number];

export interface Download {
  readonly file: string;
  /** Of all files together. */
  readonly bytes: number;
  readonly total: number;
}

export interface Progress {
  /** `building: layer 3 of 30`: a phase, and after a colon how far it is. */
  readonly step: (message: string) => void;
  readonly download: (progress: Download) => void;
  /** Something to know that stays on the screen. */
  readonly notice: (text: string) => void;
  /** Leaves a clean line behind; may be called twice. */
  readonly end: () => void;
}

/** Columns that every terminal has. */
const WIDTH = 79;
const BAR = 24;

/** Ms between two drawings: an eye follows no faster, and a terminal over ssh should not have to. */
const REDRAW_MS = 100;

/** A log gets a line for each of these shares of a download. */
const LINE_SHARE = 0.1;
const JSON_SHARE = 0.01;

const CLEAR = '\r\x1b[K';

/** @throws UsageError */
export function progressForm(wanted: string | undefined, terminal: boolean): ProgressForm {
  if (wanted === undefined) return terminal ? 'bar' : 'lines';
  const form = PROGRESS_FORMS.find((name) => name === wanted);
  if (form === undefined)
    throw new UsageError(`--progress takes ${PROGRESS_FORMS.join(', ')}, not '${wanted}'`);
  return form;
}

/** @param now ms of a clock that never goes back */
export function createProgress(
  form: ProgressForm,
  write: (text: string) => void,
  now: () => number = () => performance.now(),
): Progress {
  if (form === 'bar') return bar(write, now);
  if (form === 'lines') return lines(write);
  if (form === 'json') return json(write);
  const nothing = (): void => undefined;
  return { step: nothing, download: nothing, notice: nothing, end: nothing };
}

function bar(write: (text: string) => void, now: () => number): Progress {
  let drawn = false;
  let last = Number.NEGATIVE_INFINITY;
  let began: { readonly at: number; readonly bytes: number } | undefined;
  function draw(text: string): void {
    drawn = true;
    write(`${CLEAR}${text.length > WIDTH ? `${text.slice(0, WIDTH - 1)}…` : text}`);
  }
  function clear(): void {
    if (drawn) write(CLEAR);
    drawn = false;
  }
  return {
    step: draw,
    download({ bytes, total, file }) {
      const at = now();
      began ??= { at, bytes };
      if (bytes < total && at - last < REDRAW_MS) return;
      last = at;
      const share = total === 0 ? 1 : bytes / total;
      const full = Math.round(share * BAR);
      const rate = at > began.at ? Math.max(0, bytes - began.bytes) / ((at - began.at) / 1000) : 0;
      const left =
        rate > 0 ? `, ${bytesText(Math.round(rate))}/s, ${secondsText((total - bytes) / rate)} left` : '';
      const percent = `${Math.floor(share * 100)}`.padStart(3);
      draw(
        `[${'#'.repeat(full)}${'-'.repeat(BAR - full)}] ${percent}% of ${bytesText(total)}${left}  ${file}`,
      );
    },
    notice(text) {
      clear();
      write(`${text}\n`);
    },
    end: clear,
  };
}

function lines(write: (text: string) => void): Progress {
  let phase = '';
  const shares = everyShare(LINE_SHARE);
  return {
    step(message) {
      const colon = message.indexOf(': ');
      const head = colon < 0 ? '' : message.slice(0, colon);
      // Layer after layer would bury what else a log says.
      if (head === '' || head !== phase) write(`${message}\n`);
      phase = head;
    },
    download(progress) {
      if (!shares(progress)) return;
      const { bytes, total } = progress;
      write(`downloaded ${bytesText(bytes)} of ${bytesText(total)}\n`);
    },
    notice: (text) => write(`${text}\n`),
    end: () => undefined,
  };
}

function json(write: (text: string) => void): Progress {
  const say = (value: object): void => write(`${JSON.stringify(value)}\n`);
  const shares = everyShare(JSON_SHARE);
  return {
    step: (message) => say({ event: 'step', message }),
    download(progress) {
      if (shares(progress)) say({ event: 'download', ...progress });
    },
    notice: (text) => say({ event: 'notice', text }),
    end: () => undefined,
  };
}

/** True at the first bytes that reach a further share, and once at the end. */
function everyShare(share: number): (progress: Download) => boolean {
  let reached = 0;
  return ({ bytes, total }) => {
    const now = total === 0 ? 1 : Math.floor(bytes / total / share);
    if (now === reached) return false;
    const further = now > reached;
    // What proved wrong is fetched again, and told again.
    reached = now;
    return further;
  };
}

function secondsText(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 90) return `${whole} s`;
  return whole < 5400 ? `${Math.round(whole / 60)} min` : `${Math.round(whole / 3600)} h`;
}
