import { createConnection, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';

import { internal } from '#/base/errors.ts';

import { ATTACH_OUTPUT, ATTACH_STDIN, encodeFrame, FRAME, frameHeader, FrameParser } from './frames.ts';

export type MonitorState = 'created' | 'starting' | 'running' | 'ended';

const STATES: readonly MonitorState[] = ['created', 'starting', 'running', 'ended'];

export interface Hello {
  state: MonitorState;
  monitorPid: number;
  /** 0 before the process runs. */
  pid: number;
}

export interface MonitorEvents {
  hello?: (hello: Hello) => void;
  started?: (pid: number) => void;
  failed?: (text: string) => void;
  exit?: (exit: { code: number; at: Date }) => void;
  /** So many records of the log were lost: nobody took them. */
  dropped?: (records: number) => void;
  /** An empty piece ends the stream. */
  output?: (stream: 'stdout' | 'stderr', piece: Buffer) => void;
  closed?: () => void;
}

/** One client's connection to a hull-monitor. */
export class MonitorConnection implements Disposable {
  readonly #stream: Duplex;
  readonly #events: MonitorEvents;
  #closed = false;

  constructor(stream: Duplex, events: MonitorEvents) {
    this.#stream = stream;
    this.#events = events;
    const parser = new FrameParser((type, payload) => this.#onFrame(type, payload));
    stream.on('data', (chunk: Buffer) => parser.push(chunk));
    // A monitor that ended with our stdin unread resets the connection: the end all the same.
    stream.on('error', () => {});
    stream.on('close', () => this.#onClose());
  }

  /** Connects to the monitor behind a socket file; undefined when none listens there any more. */
  static async connect(path: string, events: MonitorEvents): Promise<MonitorConnection | undefined> {
    const socket = await new Promise<Socket | undefined>((resolve) => {
      const socket = createConnection(path);
      socket.once('error', () => resolve(undefined));
      socket.once('connect', () => resolve(socket));
    });
    return socket && new MonitorConnection(socket, events);
  }

  get closed(): boolean {
    return this.#closed;
  }

  start(): void {
    this.#send(encodeFrame(FRAME.start));
  }

  attach(want: { stdin: boolean; output: boolean }): void {
    const wants = (want.output ? ATTACH_OUTPUT : 0) | (want.stdin ? ATTACH_STDIN : 0);
    this.#send(encodeFrame(FRAME.attach, Buffer.from([wants])));
  }

  resize(size: { rows: number; columns: number }): void {
    const payload = Buffer.alloc(4);
    payload.writeUInt16BE(clamp(size.rows), 0);
    payload.writeUInt16BE(clamp(size.columns), 2);
    this.#send(encodeFrame(FRAME.resize, payload));
  }

  /** `done` is called when the socket has taken the bytes, or there is nobody any more to take them. */
  writeStdin(chunk: Buffer, done: () => void): void {
    if (this.#closed || chunk.length === 0) return done();
    this.#stream.cork();
    this.#stream.write(frameHeader(FRAME.stdin, chunk.length));
    this.#stream.write(chunk, () => done());
    this.#stream.uncork();
  }

  endStdin(): void {
    this.#send(encodeFrame(FRAME.stdin));
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  [Symbol.dispose](): void {
    this.#stream.destroy();
  }

  #send(frame: Buffer): void {
    if (!this.#closed) this.#stream.write(frame);
  }

  #onClose(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#events.closed?.();
  }

  #onFrame(type: number, payload: Buffer): void {
    const events = this.#events;
    switch (type) {
      case FRAME.stdout:
        events.output?.('stdout', payload);
        break;
      case FRAME.stderr:
        events.output?.('stderr', payload);
        break;
      case FRAME.hello:
        events.hello?.({
          state: STATES[payload.readUInt8(0)] ?? 'ended',
          monitorPid: payload.readUInt32BE(1),
          pid: payload.readUInt32BE(5),
        });
        break;
      case FRAME.started:
        events.started?.(payload.readUInt32BE(0));
        break;
      case FRAME.failed:
        events.failed?.(payload.toString('utf8'));
        break;
      case FRAME.exit:
        events.exit?.({ code: payload.readUInt32BE(0), at: dateOfNanoseconds(payload.readBigUInt64BE(8)) });
        break;
      case FRAME.dropped:
        events.dropped?.(payload.readUInt32BE(0));
        break;
      default:
        this.#stream.destroy(internal(`The monitor sent a frame of unknown type ${type}`));
    }
  }
}

export function dateOfNanoseconds(nanoseconds: bigint): Date {
  return new Date(Number(nanoseconds / 1_000_000n));
}

const clamp = (value: number): number => Math.max(0, Math.min(0xffff, Math.trunc(value)));
