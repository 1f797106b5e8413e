#!/usr/bin/env node
// A stand-in for `zfs` on the receiving side, with its state in a directory: `zfs-stand-in.mjs DIRECTORY ARGUMENT...`
//
// Its stream is one line of JSON, {dataset, name, guid, type, from, offset, size, properties}, and then the bytes of the snapshot from
// `offset` on. What breaks off is kept, as with -s. It refuses what ZFS refuses, in ZFS's words.
import {
  appendFileSync,
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';

const [directory, verb, ...words] = process.argv.slice(2);
const path = (name) => join(directory, name);
const load = () =>
  existsSync(path('state.json'))
    ? JSON.parse(readFileSync(path('state.json'), 'utf8'))
    : { txg: 100, datasets: {} };
function save(state) {
  writeFileSync(path(`state.${process.pid}`), JSON.stringify(state, null, 1));
  renameSync(path(`state.${process.pid}`), path('state.json'));
}
function fail(why) {
  process.stderr.write(`${why}\n`);
  process.exit(1);
}
appendFileSync(path('log'), `${JSON.stringify([verb, ...words])}\n`);
const state = load();
const last = words.at(-1);
const datasetOf = (name) => state.datasets[name] ?? fail(`cannot open '${name}': dataset does not exist`);
function snapshotOf(full) {
  const [name, snapshot] = full.split('@');
  const found = state.datasets[name]?.snapshots.find((one) => one.name === snapshot);
  return found ?? fail(`cannot open '${full}': dataset does not exist`);
}

const OF_FILE_SYSTEMS = new Set([
  ...['canmount', 'mountpoint', 'overlay', 'sharenfs', 'sharesmb', 'setuid', 'devices', 'exec'],
]);

switch (verb) {
  case 'list': {
    const columns = words[words.indexOf('-o') + 1];
    const dataset = datasetOf(last);
    if (columns === 'type') process.stdout.write(`${dataset.type}\n`);
    else if (columns === 'receive_resume_token') process.stdout.write(`${dataset.token ?? '-'}\n`);
    else if (columns === 'name,guid,createtxg,userrefs')
      for (const { name, guid, createtxg, holds } of dataset.snapshots)
        process.stdout.write(`${last}@${name}\t${guid}\t${createtxg}\t${holds.length}\n`);
    else fail(`no such columns: ${columns}`);
    break;
  }
  case 'get': {
    const dataset = datasetOf(last);
    const { properties, received = {}, inherited = {} } = dataset;
    for (const name of words.at(-2).split(',')) {
      if (dataset.type === 'volume' && OF_FILE_SYSTEMS.has(name)) continue;
      const of =
        name in properties ? ['local', properties] : name in received ? ['received', received] : null;
      const [source, from] = of ?? (name in inherited ? ['inherited from tank', inherited] : ['-', {}]);
      process.stdout.write(`${name}\t${source}\t${from[name] ?? '-'}\n`);
    }
    break;
  }
  case 'set': {
    const [key, value] = words[0].split('=');
    datasetOf(last).properties[key] = value;
    save(state);
    break;
  }
  case 'hold': {
    const { holds } = snapshotOf(last);
    if (holds.includes(words[0])) fail(`cannot hold snapshot '${last}': tag already exists on this dataset`);
    holds.push(words[0]);
    save(state);
    break;
  }
  case 'release': {
    const snapshot = snapshotOf(last);
    if (!snapshot.holds.includes(words[0]))
      fail(`cannot release hold from snapshot '${last}': no such tag on this dataset`);
    snapshot.holds = snapshot.holds.filter((tag) => tag !== words[0]);
    save(state);
    break;
  }
  case 'destroy': {
    if (words.length !== 1) fail('options of destroy are not for a receiver');
    if (snapshotOf(last).holds.length > 0) fail(`cannot destroy snapshot ${last}: dataset is busy`);
    const dataset = datasetOf(last.split('@')[0]);
    dataset.snapshots = dataset.snapshots.filter(({ name }) => name !== last.split('@')[1]);
    save(state);
    break;
  }
  case 'rename': {
    const [from, to] = words.slice(-2);
    if (words[0] === '-u' && datasetOf(from).type === 'volume')
      fail(`cannot rename '${from}': operation not applicable to datasets of this type`);
    state.datasets[to] = datasetOf(from);
    delete state.datasets[from];
    save(state);
    break;
  }
  case 'receive':
    if (words[0] === '-A') abandon();
    else receive();
    break;
  default:
    fail(`unrecognized command '${verb}'`);
}

function abandon() {
  const dataset = datasetOf(last);
  if (dataset.token === null) fail(`'${last}' does not have any resumable receive state to abort`);
  dataset.token = null;
  dataset.partial = null;
  if (dataset.snapshots.length === 0) delete state.datasets[last];
  save(state);
}

function valuesOf(option) {
  return words.filter((_, at) => words[at - 1] === option);
}

function receive() {
  if (!words.includes('-s') || !words.includes('-u') || !words.includes('readonly=on'))
    fail('a receiver that does not say -s, -u and readonly=on');
  let rest = Buffer.alloc(0);
  let header = null;
  let file = null;
  let got = 0;
  const keep = () => {
    if (header === null) return;
    const now = load();
    now.datasets[last] ??= { type: header.type, token: null, partial: null, properties: {}, snapshots: [] };
    Object.assign(now.datasets[last], {
      token: `1-${header.guid}-${header.offset + got}`,
      partial: { guid: header.guid, bytes: header.offset + got },
    });
    save(now);
  };
  process.on('SIGTERM', () => {
    keep();
    fail('cannot receive: interrupted. Partially received snapshot is saved.');
  });
  const slowMs = existsSync(path('slow')) ? Number(readFileSync(path('slow'), 'utf8')) : 0;
  const take = (bytes) => {
    let data = bytes;
    if (header === null) {
      rest = Buffer.concat([rest, data]);
      const at = rest.indexOf(10);
      if (at < 0 && rest.length < 4096) return;
      try {
        header = JSON.parse(rest.subarray(0, at).toString());
      } catch {
        fail('cannot receive: invalid stream (bad magic number)');
      }
      data = rest.subarray(at + 1);
      begin();
    }
    if (existsSync(path('full')) && got + data.length > 100_000) {
      keep();
      fail(`cannot receive new filesystem stream: out of space`);
    }
    writeSync(file, data);
    got += data.length;
    if (slowMs === 0) return;
    process.stdin.pause();
    setTimeout(() => process.stdin.resume(), slowMs);
  };
  const begin = () => {
    const { datasets } = load();
    const dataset = datasets[last];
    const type = dataset?.type ?? header.type;
    // As 2.1 does it where the stream is of one dataset alone.
    for (const property of valuesOf('-x'))
      if (type === 'volume' && OF_FILE_SYSTEMS.has(property))
        fail(`cannot receive: property '${property}' does not apply to datasets of this type`);
    if (
      header.offset > 0 &&
      (dataset?.partial?.guid !== header.guid || dataset.partial.bytes !== header.offset)
    )
      fail('cannot receive resume stream: stream does not fit what is here');
    if (header.offset === 0 && dataset?.partial)
      fail(`cannot receive: destination ${last} contains partially-complete state from "zfs receive -s".`);
    if (header.from === null && header.offset === 0 && dataset)
      fail(`cannot receive new filesystem stream: destination '${last}' exists`);
    if (header.from !== null && dataset?.snapshots.at(-1)?.guid !== header.from)
      fail(
        `cannot receive incremental stream: most recent snapshot of ${last} does not match incremental source`,
      );
    file = openSync(path(`data-${header.guid}`), header.offset > 0 ? 'a' : 'w');
  };
  const end = () => {
    if (header === null) fail('cannot receive: failed to read from stream');
    closeSync(file);
    if (header.offset + got < header.size) {
      keep();
      fail('cannot receive: checksum mismatch or incomplete stream.\nPartially received snapshot is saved.');
    }
    const now = load();
    now.datasets[last] ??= { type: header.type, token: null, partial: null, properties: {}, snapshots: [] };
    const dataset = now.datasets[last];
    Object.assign(dataset, { token: null, partial: null });
    dataset.received ??= {};
    // What comes is "received", and gives way to what was set here. `-x` is an explicit inherit, of what has been received before too; but
    // of what is inherited already it does nothing, and lets the stream's value through (OpenZFS issue 17240).
    const isExcluded = new Set(valuesOf('-x').filter((name) => !(name in (dataset.inherited ?? {}))));
    for (const property of isExcluded) delete dataset.received[property];
    for (const [property, value] of Object.entries(header.properties ?? {}))
      if (!isExcluded.has(property)) dataset.received[property] = value;
    for (const text of valuesOf('-o')) dataset.properties[text.split('=')[0]] = text.split('=')[1];
    now.txg += 1;
    dataset.snapshots.push({ name: header.name, guid: header.guid, createtxg: now.txg, holds: [] });
    save(now);
  };
  process.stdin.on('data', take).on('end', end);
}
