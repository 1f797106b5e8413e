/**
 * Every error that a user can meet has a stable code here, with its meaning, its remedy and its exit code.
 * `docs/errors.md` is checked against this table by a test.
 */

/** Exit codes of every command (design.md) and, from 10 on, of a dying agent or executor. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  unreachable: 3,
  refused: 4,
  unknown: 5,
  storage: 10,
  invariant: 11,
  hardState: 12,
  restart: 13,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** For the manuals. */
export const EXIT_MEANINGS: Readonly<Record<keyof typeof EXIT, string>> = {
  done: 'Done.',
  failed: 'Failed; the sentence on stderr says why.',
  usage: 'The command line or the config file is wrong; nothing was done.',
  unreachable: 'No agent could be reached; nothing was done.',
  refused: 'Refused because unsafe; nothing was done.',
  unknown: 'Timed out: whether it was done is not known.',
  storage: 'The agent stopped because its disk failed (D3).',
  invariant: 'The agent stopped because a check of its own logic failed.',
  hardState: 'The agent did not start: its data directory cannot be trusted (D2).',
  restart: 'The agent has ended to be started again at once (`quorate restart`).',
};

interface ErrorKind {
  readonly exit: ExitCode;
  readonly meaning: string;
  readonly remedy: string;
}

export const ERRORS = {
  'invariant-broken': {
    exit: EXIT.invariant,
    meaning: 'A check of our own logic failed; the agent released and stopped rather than go on.',
    remedy: 'Keep the data directory and the log, restart the agent, report the message.',
  },
  'config-invalid': {
    exit: EXIT.usage,
    meaning: 'The config file breaks one or more rules; each is printed with its line.',
    remedy: 'Correct the lines named (docs/configuration.md).',
  },
  'config-unreadable': {
    exit: EXIT.usage,
    meaning: 'The config file does not exist or cannot be read.',
    remedy: 'Name an existing file with --config and check its permissions.',
  },
  usage: {
    exit: EXIT.usage,
    meaning: 'The command line asks for something that does not exist or does not fit together.',
    remedy: 'See `quorate COMMAND --help`.',
  },
  'agent-unreachable': {
    exit: EXIT.unreachable,
    meaning: 'No agent answered at the address, or the TLS handshake failed.',
    remedy:
      'Check that the agent runs, the address (`admin.listen`), and that both certificates are of one CA.',
  },
  'answer-invalid': {
    exit: EXIT.failed,
    meaning: 'The agent answered something that this version of the command does not understand.',
    remedy: 'Use the command of the same version as the agent.',
  },
  'not-authorised': {
    exit: EXIT.failed,
    meaning: "The caller's certificate does not allow this request.",
    remedy: 'Use a certificate with the role for it (`quorate pki issue`).',
  },
  'not-leader': {
    exit: EXIT.failed,
    meaning: 'The agent that was asked does not lead; nothing was done.',
    remedy: 'Run the command on the leader (`quorate status` names it).',
  },
  'not-bootstrapped': {
    exit: EXIT.failed,
    meaning: 'The cluster has no log yet; nobody has said which nodes have good data.',
    remedy: 'Run `quorate bootstrap --in-sync NODE...` on one node.',
  },
  'already-bootstrapped': {
    exit: EXIT.refused,
    meaning:
      'The node has a log already, or has heard of a cluster that has begun; a second first entry would be a second cluster.',
    remedy:
      'Nothing to do; `quorate status` shows the cluster. A node without a log is a new one that waits for `quorate members add`, or has lost its disk (docs/members.md).',
  },
  'refused-unsafe': {
    exit: EXIT.refused,
    meaning: 'The request was refused because it could lead to two holders or to lost writes.',
    remedy: 'Remove the reason given, then ask again.',
  },
  'cluster-paused': {
    exit: EXIT.refused,
    meaning:
      'The cluster is paused: nobody is granted a tenure, and nothing moves, until an operator resumes it.',
    remedy: 'Run `quorate resume`, then ask again (`quorate audit` says who has paused it, and why).',
  },
  'epoch-changed': {
    exit: EXIT.refused,
    meaning: 'The request was made for another tenure than the one that is open now; nothing was done.',
    remedy: 'Look at `quorate status`, decide anew, and give the epoch that it shows.',
  },
  'request-id-reused': {
    exit: EXIT.usage,
    meaning: 'The request id belongs to another request, which the log has.',
    remedy: 'Give every request an id of its own, and the same one only to repeat it.',
  },
  'alerts-off': {
    exit: EXIT.failed,
    meaning: 'The agent that was asked has nobody to tell: its config has no `alerts`.',
    remedy: 'Add the section to the config of every node (docs/alerts.md) and restart the agent.',
  },
  'alerts-unsent': {
    exit: EXIT.failed,
    meaning: 'A test alert did not reach everybody whom the node would tell.',
    remedy: 'Correct what is named with each target; docs/alerts.md says what they need.',
  },
  'watch-unknown': {
    exit: EXIT.failed,
    meaning: 'The agent is older than the command and cannot tell its status live.',
    remedy: 'Upgrade the agent; `quorate status --watch` asks it every second meanwhile.',
  },
  'watch-too-slow': {
    exit: EXIT.failed,
    meaning: 'Whoever watched the status did not read it for a while, and was cut off.',
    remedy: 'Watch again: the status comes whole.',
  },
  'too-many-requests': {
    exit: EXIT.failed,
    meaning: 'The agent has been asked for more than it takes at a time; nothing was done.',
    remedy: 'Wait a moment and ask again, with the same request id.',
  },
  'restart-failed': {
    exit: EXIT.failed,
    meaning: 'A restart was begun, and the agent did not come back under the same tenure, or has not ended.',
    remedy: 'Look at `quorate status` and the log of the agent; the tenure has moved, or goes on as before.',
  },
  'switchover-failed': {
    exit: EXIT.failed,
    meaning: 'A switchover was begun and did not end on its target.',
    remedy:
      'See `quorate status` for who holds now and `quorate audit` for why; correct the cause and try again.',
  },
  'failover-failed': {
    exit: EXIT.failed,
    meaning: 'A failover was forced and written down, and its node could not take everything.',
    remedy:
      'See `quorate status` for who holds now and `quorate audit` for why; correct the cause on that node: it tries again by itself.',
  },
  'disk-lost': {
    exit: EXIT.hardState,
    meaning:
      "The data directory was found empty, but the cluster's log says that this node has had a vote. Every later start on that directory is refused too.",
    remedy:
      'Give the node its own data directory back, if that still exists (never a copy from earlier, D2); otherwise a new node under a new id with a directory of its own (docs/members.md). Never delete `disk-mark` to get past this.',
  },
  'disk-mark-unreadable': {
    exit: EXIT.hardState,
    meaning:
      'The file `disk-mark` of the data directory cannot be read: whether this node has lost its log, and with it its votes, is not known (D2).',
    remedy:
      "Give the agent's user the right to read it. Where it is damaged: keep the data directory, remove the member, and let it join under a new id with an empty one.",
  },
  'node-removed': {
    exit: EXIT.hardState,
    meaning: 'The cluster goes on without this node: its id was removed, and is never used again (E5).',
    remedy:
      'Stop its services and switch its machine off, or let it join under a new id with an empty data directory (docs/members.md).',
  },
  'timed-out-unknown': {
    exit: EXIT.unknown,
    meaning: 'No answer in time; whether it was done is not known.',
    remedy: 'Look at `quorate status` before asking again.',
  },
  'audit-failed': {
    exit: EXIT.failed,
    meaning: 'The log breaks its chain of hashes or one of the safety rules.',
    remedy:
      'Keep every data directory and find the first violation in `quorate audit`; do not repair by hand.',
  },
  'entry-invalid': {
    exit: EXIT.failed,
    meaning: 'A log entry from a peer or an operator breaks the format or a limit.',
    remedy: 'Shorten what was sent; if a peer sent it, compare the versions of the agents.',
  },
  'entry-kind-unknown': {
    exit: EXIT.failed,
    meaning:
      'A peer sent a log entry of a kind that this version does not know; it is refused, never skipped.',
    remedy: 'Upgrade this agent to the version of its peers.',
  },
  'storage-failed': {
    exit: EXIT.storage,
    meaning: 'A write or sync of the log failed or took too long; the agent released and stopped (D3).',
    remedy: 'Check the disk, its free space and the kernel log, then start the agent again.',
  },
  'hard-state-unreadable': {
    exit: EXIT.hardState,
    meaning: 'The node cannot know whom it voted for: no trustworthy copy of its hard state is left (D2).',
    remedy:
      'Keep the data directory; remove the member and let it join again with a new id and an empty directory.',
  },
  'log-unreadable': {
    exit: EXIT.hardState,
    meaning: 'The database of the log cannot be opened or read; nothing was changed or deleted.',
    remedy:
      'Keep the data directory; remove the member and let it join again with a new id and an empty directory.',
  },
  'log-format-unknown': {
    exit: EXIT.hardState,
    meaning: 'The data directory was written by another version of the program; it is not read by guessing.',
    remedy: 'Start the version that wrote it, or a newer one.',
  },
  'data-directory-unwritable': {
    exit: EXIT.failed,
    meaning: 'The data directory cannot be created or written.',
    remedy: 'Create it, or give the user of the agent the right to write there; its parent must exist.',
  },
  'data-directory-locked': {
    exit: EXIT.failed,
    meaning: 'Another process has the data directory open: another agent runs on it.',
    remedy: 'Stop the other agent, or give this one a directory of its own.',
  },
  'data-directory-missing': {
    exit: EXIT.failed,
    meaning: 'There is no log where one was to be read.',
    remedy: 'Give the data_dir of a node, or a copy of it.',
  },
  'certificate-unreadable': {
    exit: EXIT.usage,
    meaning: 'A TLS file named in the configuration is missing, may not be read, or is not PEM.',
    remedy:
      'Check the path and its rights under `tls:`, or make the files with `quorate pki init` and `quorate pki issue`.',
  },
  'certificate-key-mismatch': {
    exit: EXIT.usage,
    meaning: 'The private key does not belong to the certificate.',
    remedy: 'Put the two files of one `quorate pki issue` under `tls:`.',
  },
  'certificate-wrong-identity': {
    exit: EXIT.usage,
    meaning: 'The certificate is not the one of this node of this cluster.',
    remedy: 'Correct `node`, `cluster` or `tls.cert`, or issue a certificate for this node.',
  },
  'certificate-untrusted': {
    exit: EXIT.usage,
    meaning: "The configured CA did not issue the node's certificate; no peer would accept it.",
    remedy: 'Put the CA and the certificate of the same cluster under `tls:`.',
  },
  'certificate-expired': {
    exit: EXIT.usage,
    meaning: 'A certificate is past its end, or not valid yet.',
    remedy: "Issue a new one with `quorate pki issue`; if it is not valid yet, check the host's clock.",
  },
  'port-in-use': {
    exit: EXIT.failed,
    meaning: 'Another process listens on the configured address.',
    remedy: 'Stop it (often an agent that still runs), or configure another port.',
  },
  'address-not-available': {
    exit: EXIT.failed,
    meaning: 'The configured address is not one of this host, or may not be listened on.',
    remedy: 'Correct the address, or wait until its interface is up.',
  },
  'peer-unreachable': {
    exit: EXIT.unreachable,
    meaning: 'A peer did not answer before the deadline.',
    remedy: 'Check that its agent runs and that the replication link reaches its peer address.',
  },
  'peer-refused': {
    exit: EXIT.failed,
    meaning: 'A peer answered and refused.',
    remedy: 'Do what its sentence says; most often the certificates or the member lists differ.',
  },
  'replication-not-sending': {
    exit: EXIT.failed,
    meaning: 'The node that was asked does not send: only the holder does, after a complete takeover.',
    remedy: 'Ask the holder (`quorate status` names it); a round begins by itself after a takeover.',
  },
  'replication-stream-broken': {
    exit: EXIT.failed,
    meaning: 'A stream of a snapshot did not reach its end.',
    remedy:
      'Nothing: the next round goes on where it broke off. If it breaks again, remove the reason given.',
  },
  'replication-conflict': {
    exit: EXIT.failed,
    meaning: 'What only one node has of a replicated dataset cannot be set aside as it is.',
    remedy: 'The sentence says what is in the way. Nothing was destroyed, and it is tried again.',
  },
  'replication-not-configured': {
    exit: EXIT.usage,
    meaning: 'The config has no section `replication`, so no pool is replicated by snapshots.',
    remedy:
      'Name the pools on every data node, as `replication: {pools: [tank]}` (docs/replication.md), and restart the agents.',
  },
  'replication-refused': {
    exit: EXIT.refused,
    meaning:
      'The receiving node refused an order of the replication, for the reason that it gives; nothing was done.',
    remedy:
      'Read the reason. One that names an epoch or a holder means that the roles have changed: the new holder sends.',
  },
  'replication-unpaired': {
    exit: EXIT.failed,
    meaning:
      'The two data nodes do not know each other by SSH: a key, or a pinned host key, is missing or wrong.',
    remedy: 'Run `quorate replication pair` on one of them (docs/replication-channels.md).',
  },
  'file-exists': {
    exit: EXIT.usage,
    meaning: 'A file that would be written exists already; nothing was written.',
    remedy:
      'Choose another --out, or give --force to replace it (a replaced CA makes all its certificates void).',
  },
  'file-not-written': {
    exit: EXIT.failed,
    meaning: 'A file that was asked for could not be written; what stood there before stands there still.',
    remedy: 'Name a file in a directory that exists and may be written to, on a disk with room.',
  },
  'pki-invalid': {
    exit: EXIT.usage,
    meaning: 'A certificate cannot be made from what was given.',
    remedy: 'See `quorate pki issue --help`.',
  },
  'inspect-busy': {
    exit: EXIT.failed,
    meaning: 'As many viewers as are allowed look at the messages of this node already.',
    remedy: 'End one of the other `quorate inspect` on this node, or look at another node.',
  },
  'inspect-too-slow': {
    exit: EXIT.failed,
    meaning: 'A viewer of messages took nothing for several seconds and was cut off.',
    remedy: 'Write to a file instead of a paused screen, or narrow the filter (`--kind`, `--peer`).',
  },
  'inspect-ended': {
    exit: EXIT.failed,
    meaning: 'The agent whose messages were shown is ending.',
    remedy: 'Ask again when it runs, or look at another node.',
  },
  'drbd-tools-missing': {
    exit: EXIT.failed,
    meaning: 'drbdadm or drbdsetup cannot be found, so the block role can be neither read nor changed.',
    remedy: 'apt-get install drbd-utils, and check PATH of the executor.',
  },
  'drbd-refused': {
    exit: EXIT.refused,
    meaning: 'DRBD refused a change of role; the kernel sees a reason that the log does not show.',
    remedy: 'Read the quoted sentence; check connection and disks with `drbdadm status`. Never use --force.',
  },
  'command-missing': {
    exit: EXIT.failed,
    meaning: 'A command of a resource is not installed or not in PATH.',
    remedy: 'Install it or correct the command in the config.',
  },
  'no-data': {
    exit: EXIT.failed,
    meaning: "Everything was taken, but no client's data came in, and the config says that some always does.",
    remedy: 'Look for what is between the clients and this node: routes, security groups, the load balancer.',
  },
  'command-failed': {
    exit: EXIT.failed,
    meaning: 'A command of a resource ended with an error.',
    remedy: 'Run the quoted command by hand and read what it says.',
  },
  'command-timed-out': {
    exit: EXIT.failed,
    meaning: 'A command of a resource was killed because it took longer than its limit.',
    remedy: 'Find out what the quoted command waits for; the kernel log may tell.',
  },
  'port-dead': {
    exit: EXIT.failed,
    meaning: 'The second port got no link.',
    remedy: 'Check cable, switch or the attachment of the network interface.',
  },
  'mount-occupied': {
    exit: EXIT.failed,
    meaning: 'Another file system is mounted where a resource wants its own.',
    remedy: 'Unmount the other one, or correct the mount point in the config.',
  },
  'pool-in-use': {
    exit: EXIT.refused,
    meaning:
      'Another host has the ZFS pool, or had it last, and nothing proves that it can write into it no more.',
    remedy:
      'Read the sentence. `zpool import -f` by hand only when the host named is certainly off: two hosts in one pool destroy it.',
  },
  'pool-unusable': {
    exit: EXIT.failed,
    meaning: 'The ZFS pool is imported, and has lost devices that it cannot do without.',
    remedy:
      'See `zpool status`, and what is below the pool. A pool that is SUSPENDED is ended by a reset of the host only.',
  },
  'pool-receiving': {
    exit: EXIT.failed,
    meaning:
      'A stream is being received into a replicated pool that this node takes over, and it cannot be ended.',
    remedy: 'End the process that is named, or let it come to its end; the takeover is tried again.',
  },
  'not-as-wanted': {
    exit: EXIT.failed,
    meaning: 'What was set up on this host reads back differently from what was asked for.',
    remedy: 'Find what else changes links, addresses, routes, rules or mounts on this host.',
  },
  'cloud-unreachable': {
    exit: EXIT.failed,
    meaning:
      "The cloud's API cannot be reached, or there are no credentials for it; nothing was changed there.",
    remedy: 'Check route, DNS and firewall from this node to the endpoint named, and the instance role.',
  },
  'cloud-refused': {
    exit: EXIT.failed,
    meaning: "The cloud's API refused the request, and trying again would not help.",
    remedy: 'Check ids in the config and the IAM policy; the quoted code says which.',
  },
  'cloud-throttled': {
    exit: EXIT.failed,
    meaning: "The cloud's API limited our rate for the whole time that the lease left.",
    remedy: 'Find what else in the account calls EC2 so often, or ask AWS for a higher limit.',
  },
  'cloud-unknown-outcome': {
    exit: EXIT.unknown,
    meaning: 'A call to the cloud got no clear answer: it may have been executed or not.',
    remedy: 'Wait: the holder reads and repairs every second; check the endpoint if it stays.',
  },
  'address-held-elsewhere': {
    exit: EXIT.refused,
    meaning:
      'After a proven release the address is associated with an interface that belongs to no member; or a route to it leads to something that belongs to no member.',
    remedy: 'Find out who associated or routed it; undo it there, or correct `interfaces` in the config.',
  },
  'order-refused': {
    exit: EXIT.refused,
    meaning: 'The executor refused an order: older or released epoch, past its deadline, or not ready (O1).',
    remedy: 'Nothing: the agent asks again under a valid epoch. If it repeats, read both logs.',
  },
  'order-ended': {
    exit: EXIT.failed,
    meaning: 'An action was called off because its lease ended or its epoch was released.',
    remedy: 'Nothing: everything is being released. Look for why the lease ended.',
  },
  'release-unverified': {
    exit: EXIT.failed,
    meaning:
      'After its release a resource could not be shown to be given up, so the node counts as holding it.',
    remedy: 'Look at the resource named; the node votes and is ready only after it reads "not-held".',
  },
  'watchdog-unusable': {
    exit: EXIT.failed,
    meaning: 'The watchdog device cannot be opened, or its timeout does not fit the timing.',
    remedy:
      'Load its driver (modprobe softdog), set its timeout (wdctl -s), or choose `mode: off` knowingly.',
  },
  'executor-unreachable': {
    exit: EXIT.unreachable,
    meaning: 'The executor did not start or does not answer on its socket.',
    remedy: "Read the executor's log lines; check data_dir and its permissions.",
  },
  'executor-busy': {
    exit: EXIT.failed,
    meaning: 'Another executor runs for this data directory, or another agent is connected to it.',
    remedy: 'Stop the other one; one node has one agent and one executor.',
  },
  'executor-state-damaged': {
    exit: EXIT.storage,
    meaning:
      'executor-state.json is unreadable: which epochs are dead cannot be known, so none is obeyed (O1).',
    remedy: 'Check the disk. Make sure that this node holds nothing, then move the file away.',
  },
  'channel-broken': {
    exit: EXIT.failed,
    meaning: 'Agent and executor did not understand each other: an over-long or malformed line.',
    remedy: 'Run both from the same version.',
  },
  'local-controller-state': {
    exit: EXIT.usage,
    meaning: 'The state file of the local VPC controller is unreadable or contradicts itself.',
    remedy: 'Correct the named place; docs and `cluster/local/controller/state-file.ts` list the fields.',
  },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERRORS;

/** An operating error. `message` says what happened and where; the table says what to do. */
export class QuorateError extends Error {
  override readonly name = 'QuorateError';
  readonly code: ErrorCode;
  readonly context: Readonly<Record<string, unknown>>;

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; context?: Record<string, unknown> } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.context = options.context ?? {};
  }

  get exitCode(): ExitCode {
    return ERRORS[this.code].exit;
  }

  /** One line for a terminal: what happened, what to do, and the code to look up. */
  get oneLine(): string {
    return `${this.message.replaceAll(/\s*\n\s*/g, ' ')} — ${ERRORS[this.code].remedy} [${this.code}]`;
  }
}
