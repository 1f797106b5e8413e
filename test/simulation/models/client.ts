/**
 * A client that writes through the elastic IP and reads back.
 *
 * Modelled: it goes where the address is in truth; it reaches a service that runs on a host that gets time; a write counts as
 * acknowledged only when the answer has come back; after a time-out it goes on with the next one.
 * Not modelled: TCP connections that survive a move, caches of the client.
 */
import type { Host } from '../engine/host.ts';
import { between, type World } from '../engine/world.ts';
import type { Cloud } from './cloud.ts';
import type { HostPrograms } from './commands.ts';

const PAUSE_MS = [20, 90] as const;
const WAY_MS = [0.3, 2] as const;
const TIMEOUT_MS = 1_000;
const READ_EVERY = 5;

export interface Server {
  readonly host: Host;
  readonly programs: HostPrograms;
}

export class Client {
  readonly #world: World;
  readonly #random: () => number;
  readonly #cloud: Cloud;
  readonly #servers: ReadonlyMap<string, Server>;
  /** Resource name of each write, by number; numbers run from 0. */
  readonly #devices: readonly string[];
  /** Acknowledged to the client, by device: this must never be lost. */
  readonly acknowledged = new Map<string, number[]>();
  #next = 0;
  served = 0;
  lastServedAt = 0;
  onWrong: (what: string) => void = () => undefined;

  constructor(world: World, cloud: Cloud, servers: ReadonlyMap<string, Server>, devices: readonly string[]) {
    this.#world = world;
    this.#random = world.random('client');
    this.#cloud = cloud;
    this.#servers = servers;
    this.#devices = devices;
    for (const device of devices) this.acknowledged.set(device, []);
  }

  start(): void {
    this.#request();
  }

  #request(): void {
    const number = this.#next;
    this.#next += 1;
    let isOver = false;
    const end = (isServed: boolean): void => {
      if (isOver) return;
      isOver = true;
      limit.act = null;
      if (isServed) {
        this.served += 1;
        this.lastServedAt = this.#world.now;
      }
      this.#world.after(between(this.#random, PAUSE_MS), () => this.#request());
    };
    const limit = this.#world.after(TIMEOUT_MS, () => end(false));
    this.#world.after(between(this.#random, WAY_MS), () => {
      const server = this.#servers.get(this.#cloud.owner ?? '');
      // Nobody answers: a reset, or silence.
      if (server === undefined || !server.host.isRunning || !server.programs.isServing) return;
      const back = (act: () => void): void =>
        void this.#world.after(between(this.#random, WAY_MS), () => {
          if (!isOver) act();
        });
      if (number % READ_EVERY === 0) this.#read(server, () => back(() => end(true)));
      else
        this.#write(server, number, (settle) =>
          back(() => {
            settle();
            end(true);
          }),
        );
    });
  }

  #write(server: Server, number: number, answer: (settle: () => void) => void): void {
    const name = this.#devices[number % Math.max(1, this.#devices.length)];
    const device = name === undefined ? undefined : server.programs.devices.get(name);
    if (name === undefined || device === undefined) return answer(() => undefined);
    const { boots } = server.host;
    void device.write(number).then((isDone) => {
      if (!isDone || server.host.boots !== boots || !server.programs.isServing) return;
      answer(() => {
        this.acknowledged.get(name)?.push(number);
        this.#world.marks.add('write-acknowledged');
      });
    });
  }

  #read(server: Server, answer: () => void): void {
    for (const [name, numbers] of this.acknowledged) {
      const device = server.programs.devices.get(name);
      const newest = numbers.at(-1);
      if (device === undefined || newest === undefined) continue;
      // A device that is frozen answers no read.
      if (device.view.role !== 'Primary' || device.isSuspended) return;
      if (!device.data.has(newest))
        return this.onWrong(`${server.host.id} reads ${name} without the acknowledged write ${newest}`);
    }
    answer();
  }
}
