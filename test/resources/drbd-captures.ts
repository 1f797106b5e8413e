/** What real DRBD 8.4 printed for `drbdsetup events2 --now r0`, byte for byte; `nine` follows the documentation of 9.x. */
export const CAPTURES = {
  healthyPrimary: `exists resource name:r0 role:Primary suspended:no
exists connection name:r0 peer-node-id:0 conn-name:peer connection:Connected role:Secondary
exists device name:r0 volume:0 minor:0 disk:UpToDate
exists peer-device name:r0 peer-node-id:0 conn-name:peer volume:0 replication:Established peer-disk:UpToDate resync-suspended:no
exists -
`,
  healthySecondary: `exists resource name:r0 role:Secondary suspended:no
exists connection name:r0 peer-node-id:0 conn-name:peer connection:Connected role:Primary
exists device name:r0 volume:0 minor:0 disk:UpToDate
exists peer-device name:r0 peer-node-id:0 conn-name:peer volume:0 replication:Established peer-disk:UpToDate resync-suspended:no
exists -
`,
  syncing: `exists resource name:r0 role:Primary suspended:no
exists connection name:r0 peer-node-id:0 conn-name:peer connection:Connected role:Secondary
exists device name:r0 volume:0 minor:0 disk:UpToDate
exists peer-device name:r0 peer-node-id:0 conn-name:peer volume:0 replication:SyncSource peer-disk:Inconsistent resync-suspended:no
exists -
`,
  peerDead: `exists resource name:r0 role:Secondary suspended:no
exists connection name:r0 peer-node-id:0 conn-name:peer connection:Connecting role:Unknown
exists device name:r0 volume:0 minor:0 disk:UpToDate
exists peer-device name:r0 peer-node-id:0 conn-name:peer volume:0 replication:Off peer-disk:DUnknown resync-suspended:no
exists -
`,
  primaryAlone: `exists resource name:r0 role:Primary suspended:no
exists connection name:r0 peer-node-id:0 conn-name:peer connection:Connecting role:Unknown
exists device name:r0 volume:0 minor:0 disk:UpToDate
exists peer-device name:r0 peer-node-id:0 conn-name:peer volume:0 replication:Off peer-disk:DUnknown resync-suspended:no
exists -
`,
  /** Cut off from its peer while a program writes, the handler answered 1: the program waits in the kernel. */
  isolatedPrimary: `exists resource name:r0 role:Primary suspended:fencing
exists connection name:r0 peer-node-id:0 conn-name:peer connection:Connecting role:Unknown
exists device name:r0 volume:0 minor:0 disk:UpToDate
exists peer-device name:r0 peer-node-id:0 conn-name:peer volume:0 replication:Off peer-disk:DUnknown resync-suspended:no
exists -
`,
  /** The same after `detach --force`, `resume-io`, `umount` and `secondary`. */
  abandoned: `exists resource name:r0 role:Secondary suspended:no
exists connection name:r0 peer-node-id:0 conn-name:peer connection:Connecting role:Unknown
exists device name:r0 volume:0 minor:0 disk:Diskless
exists peer-device name:r0 peer-node-id:0 conn-name:peer volume:0 replication:Off peer-disk:DUnknown resync-suspended:no
exists -
`,
  /** `events2 r0`, followed: from a healthy Primary, through the cut of the link, to the release of the isolated one. */
  isolation: `exists resource name:r0 role:Primary suspended:no
exists connection name:r0 peer-node-id:0 conn-name:peer connection:Connected role:Secondary
exists device name:r0 volume:0 minor:0 disk:UpToDate
exists peer-device name:r0 peer-node-id:0 conn-name:peer volume:0 replication:Established peer-disk:UpToDate resync-suspended:no
exists -
change resource name:r0 suspended:fencing
change connection name:r0 peer-node-id:0 conn-name:peer connection:NetworkFailure role:Unknown
change peer-device name:r0 peer-node-id:0 conn-name:peer volume:0 replication:Off peer-disk:DUnknown
change resource name:r0
change connection name:r0 peer-node-id:0 conn-name:peer
change peer-device name:r0 peer-node-id:0 conn-name:peer volume:0
change connection name:r0 peer-node-id:0 conn-name:peer connection:Unconnected
change connection name:r0 peer-node-id:0 conn-name:peer connection:Connecting
call helper name:r0 peer-node-id:0 conn-name:peer helper:fence-peer
response helper name:r0 peer-node-id:0 conn-name:peer helper:fence-peer status:256
change device name:r0 volume:0 minor:0 disk:Failed
call helper name:r0 peer-node-id:0 conn-name:peer volume:0 minor:0 helper:pri-on-incon-degr
response helper name:r0 peer-node-id:0 conn-name:peer volume:0 minor:0 helper:pri-on-incon-degr status:0
change device name:r0 volume:0 minor:0 disk:Diskless
change resource name:r0 suspended:no
change resource name:r0 role:Secondary
`,
  standAlone: `exists resource name:r0 role:Primary suspended:no
exists connection name:r0 peer-node-id:0 connection:StandAlone role:Unknown
exists device name:r0 volume:0 minor:0 disk:UpToDate
exists peer-device name:r0 peer-node-id:0 volume:0 replication:Off peer-disk:DUnknown resync-suspended:no
exists -
`,
  nine: `exists resource name:r0 role:Secondary suspended:no may_promote:yes promotion_score:10101
exists device name:r0 volume:0 minor:0 disk:UpToDate backing_dev:/dev/nvme1n1 client:no quorum:yes open:no
exists device name:r0 volume:1 minor:1 disk:UpToDate backing_dev:/dev/nvme2n1 client:no quorum:yes open:no
exists connection name:r0 peer-node-id:1 conn-name:nodeb connection:Connected role:Secondary congested:no
exists connection name:r0 peer-node-id:2 conn-name:witness connection:Connected role:Secondary congested:no
exists peer-device name:r0 peer-node-id:1 conn-name:nodeb volume:0 replication:Established peer-disk:UpToDate peer-client:no resync-suspended:no
exists peer-device name:r0 peer-node-id:1 conn-name:nodeb volume:1 replication:Established peer-disk:UpToDate peer-client:no resync-suspended:no
exists peer-device name:r0 peer-node-id:2 conn-name:witness volume:0 replication:Established peer-disk:Diskless peer-client:yes resync-suspended:no
exists peer-device name:r0 peer-node-id:2 conn-name:witness volume:1 replication:Established peer-disk:Diskless peer-client:yes resync-suspended:no
exists path name:r0 peer-node-id:1 conn-name:nodeb local:ipv4:10.0.1.10:7789 peer:ipv4:10.0.2.10:7789 established:yes
exists -
`,
} as const;
