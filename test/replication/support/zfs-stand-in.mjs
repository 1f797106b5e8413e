#!/usr/bin/env node
// A stand-in for `zfs` on the receiving side, with its state in a directory: `zfs-stand-in.mjs DIRECTORY ARGUMENT...`
//
// Its stream is one line of JSON, {dataset, name, guid, type, from, offset, size, properties}, and then the bytes of the snapshot from
// `offset` on; of a run the next one follows. What breaks off is kept, as with -s. It refuses what ZFS refuses, in ZFS's words.
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

const OF_FILE_SYSTEMS = new Set([
  ...['canmount', 'mountpoint', 'overlay', 'sharenfs', 'sharesmb', 'setuid', 'devices', 'exec'],
]);

switch (verb) {
  case 'list': {
    const columns = words[words.indexOf('-o') + 1];
    const names = words.slice(words.indexOf('-o') + 2);
    const dataset = datasetOf(last);
    if (columns === 'type') process.stdout.write(`${dataset.type}\n`);
    else if (columns === 'receive_resume_token') process.stdout.write(`${dataset.token ?? '-'}\n`);
    else if (columns === 'name,guid,createtxg,userrefs')
      for (const one of names)
        for (const { name, guid, createtxg, holds } of datasetOf(one).snapshots)
          process.stdout.write(`${one}@${name}\t${guid}\t${createtxg}\t${holds.length}\n`);
    else fail(`no such columns: ${columns}`);
    break;
  }
  case 'get': {
    const dataset = datasetOf(last);
    const { properties, received = {}, inherited = {} } = dataset;
    for (const name of words.at(-2).split(',')) {
      const { type, guid = '4711', written = 0, mounted = type === 'volume' ? '-' : 'no' } = dataset;
      const own = { type, guid, written, mounted }[name];
      if (own !== undefined) {
        process.stdout.write(`${name}\t-\t${own}\n`);
        continue;
      }
      if (dataset.type === 'volume' && OF_FILE_SYSTEMS.has(name)) {
        process.stdout.write(`${name}\t-\t-\n`);
        continue;
      }
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
  // Of several each for itself, with a line for each that could not be.
  case 'hold':
    ofEach(words.slice(1), (full, { holds }) => {
      if (holds.includes(words[0]))
        return `cannot hold snapshot '${full}': tag already exists on this dataset`;
      holds.push(words[0]);
    });
    break;
  case 'release':
    if (
      existsSync(path('stuck')) &&
      words.some((word) => word.endsWith(readFileSync(path('stuck'), 'utf8').trim()))
    )
      fail('cannot release: I/O error');
    ofEach(words.slice(1), (full, snapshot) => {
      if (!snapshot.holds.includes(words[0]))
        return `cannot release hold from snapshot '${full}': no such tag on this dataset`;
      snapshot.holds = snapshot.holds.filter((tag) => tag !== words[0]);
    });
    break;
  case 'destroy': {
    if (words.length !== 1) fail('options of destroy are not for a receiver');
    const [name, list] = last.split('@');
    const there = datasetOf(name).snapshots.filter((one) => list.split(',').includes(one.name));
    if (there.length === 0) fail('could not find any snapshots to destroy; check snapshot names.');
    // All of them, or none.
    for (const one of there)
      if (one.holds.length > 0) fail(`cannot destroy snapshot ${name}@${one.name}: dataset is busy`);
    for (const one of there)
      if (one.isCloned)
        fail(
          `cannot destroy '${name}@${one.name}': snapshot has dependent clones\nuse '-R' to destroy the following datasets:\ntank/clone`,
        );
    const dataset = datasetOf(name);
    dataset.snapshots = dataset.snapshots.filter((one) => !there.includes(one));
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
  // A mount that nobody else sees: what was in the log is in the dataset then.
  case 'unshare': {
    const dataset = datasetOf(last);
    if (dataset.isLocked) fail('cannot mount: encryption key not loaded');
    if (dataset.log !== undefined) Object.assign(dataset, { log: undefined, isChanged: true });
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

function ofEach(names, act) {
  const refusals = names.flatMap((full) => {
    const [name, snapshot] = full.split('@');
    const found = state.datasets[name]?.snapshots.find((one) => one.name === snapshot);
    const why = found === undefined ? `cannot open '${full}': dataset does not exist` : act(full, found);
    return why === undefined ? [] : [why];
  });
  save(state);
  if (refusals.length > 0) fail(refusals.join('\n'));
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
  // What goes on with the next stream of a run.
  const take = (bytes) => {
    const missing = header === null ? 0 : header.size - header.offset - got;
    if (header !== null && bytes.length > missing) {
      takeSome(bytes.subarray(0, missing));
      commit();
      [header, rest, got] = [null, Buffer.alloc(0), 0];
      return take(bytes.subarray(missing));
    }
    takeSome(bytes);
  };
  const takeSome = (bytes) => {
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
      if (data.length > header.size - header.offset) return take(data);
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
    if (header.from !== null && dataset?.isChanged)
      fail(
        `cannot receive incremental stream: destination ${last} has been modified\nsince most recent snapshot`,
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
    commit();
  };
  const commit = () => {
    const now = load();
    now.datasets[last] ??= { type: header.type, token: null, partial: null, properties: {}, snapshots: [] };
    const dataset = now.datasets[last];
    // With what the kernel replaces its log goes too.
    Object.assign(dataset, { written: 0, log: undefined });
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
