import type { DocumentKind } from './inspect.ts';

/**
 * The Go types behind the documents of the API, for templates: `{{.State}}` prints a struct's fields in their order, and a field
 * that JSON leaves out has its zero value. A field is `name` (a string) or `name:type`: int, bool, time, duration, nil (anything
 * that may be absent), [] or map of values, a struct's name, [] or map and a struct's name, `*` before one that may be nil.
 */
const SHAPES = `
Container Id Created Path Args:[] State:*State Image ResolvConfPath HostnamePath HostsPath LogPath Name RestartCount:int Driver Platform MountLabel ProcessLabel AppArmorProfile ExecIDs:[] HostConfig:*HostConfig GraphDriver:GraphDriver SizeRw:nil SizeRootFs:nil Mounts:[]MountPoint Config:*Config NetworkSettings:*NetworkSettings ImageManifestDescriptor:nil
State Status Running:bool Paused:bool Restarting:bool OOMKilled:bool Dead:bool Pid:int ExitCode:int Error StartedAt FinishedAt Health:*Health
Health Status FailingStreak:int Log:[]HealthLog
HealthLog Start:time End:time ExitCode:int Output
GraphDriver Data:map Name
MountPoint Type Name Source Destination Driver Mode RW:bool Propagation
Config Hostname Domainname User AttachStdin:bool AttachStdout:bool AttachStderr:bool ExposedPorts:map_Empty Tty:bool OpenStdin:bool StdinOnce:bool Env:[] Cmd:[] Healthcheck:*Healthcheck ArgsEscaped:bool Image Volumes:map_Empty WorkingDir Entrypoint:[] NetworkDisabled:bool MacAddress OnBuild:[] Labels:map StopSignal StopTimeout:nil Shell:[]
Empty
Healthcheck Test:[] Interval:duration Timeout:duration StartPeriod:duration StartInterval:duration Retries:int
HostConfig Binds:[] ContainerIDFile LogConfig:LogConfig NetworkMode PortBindings:map_[]PortBinding RestartPolicy:RestartPolicy AutoRemove:bool VolumeDriver VolumesFrom:[] ConsoleSize:[] Annotations:map CapAdd:[] CapDrop:[] CgroupnsMode Dns:[] DnsOptions:[] DnsSearch:[] ExtraHosts:[] GroupAdd:[] IpcMode Cgroup Links:[] OomScoreAdj:int PidMode Privileged:bool PublishAllPorts:bool ReadonlyRootfs:bool SecurityOpt:[] StorageOpt:map Tmpfs:map UTSMode UsernsMode ShmSize:int Sysctls:map Runtime Isolation CpuShares:int Memory:int NanoCpus:int CgroupParent BlkioWeight:int BlkioWeightDevice:[] BlkioDeviceReadBps:[] BlkioDeviceWriteBps:[] BlkioDeviceReadIOps:[] BlkioDeviceWriteIOps:[] CpuPeriod:int CpuQuota:int CpuRealtimePeriod:int CpuRealtimeRuntime:int CpusetCpus CpusetMems Devices:[]Device DeviceCgroupRules:[] DeviceRequests:[]DeviceRequest MemoryReservation:int MemorySwap:int MemorySwappiness:nil OomKillDisable:nil PidsLimit:nil Ulimits:[] CpuCount:int CpuPercent:int IOMaximumIOps:int IOMaximumBandwidth:int Mounts:[]Mount MaskedPaths:[] ReadonlyPaths:[] Init:nil
LogConfig Type Config:map
RestartPolicy Name MaximumRetryCount:int
PortBinding HostIp HostPort
Device PathOnHost PathInContainer CgroupPermissions
DeviceRequest Driver Count:int DeviceIDs:[] Capabilities:[] Options:map
Mount Type Source Target ReadOnly:bool Consistency BindOptions:nil VolumeOptions:nil ImageOptions:nil TmpfsOptions:nil ClusterOptions:nil
NetworkSettings Bridge SandboxID SandboxKey Ports:map_[]PortBinding HairpinMode:bool LinkLocalIPv6Address LinkLocalIPv6PrefixLen:int SecondaryIPAddresses:[] SecondaryIPv6Addresses:[] EndpointID Gateway GlobalIPv6Address GlobalIPv6PrefixLen:int IPAddress IPPrefixLen:int IPv6Gateway MacAddress Networks:map_*Endpoint
Endpoint IPAMConfig:*EndpointIPAM Links:[] Aliases:[] MacAddress DriverOpts:map GwPriority:int NetworkID EndpointID Gateway IPAddress IPPrefixLen:int IPv6Gateway GlobalIPv6Address GlobalIPv6PrefixLen:int DNSNames:[]
EndpointIPAM IPv4Address IPv6Address LinkLocalIPs:[]
Image Id RepoTags:[] RepoDigests:[] Parent Comment Created DockerVersion Author Config:*Config Architecture Variant Os OsVersion Size:int VirtualSize:int GraphDriver:GraphDriver RootFS:RootFS Metadata:Metadata Descriptor:nil Manifests:[]
RootFS Type Layers:[]
Metadata LastTagTime:time
Network Name Id Created:time Scope Driver EnableIPv4:bool EnableIPv6:bool IPAM:IPAM Internal:bool Attachable:bool Ingress:bool ConfigFrom:ConfigFrom ConfigOnly:bool Containers:map_NetworkContainer Options:map Labels:map Peers:[] Services:map
IPAM Driver Options:map Config:[]Subnet
Subnet Subnet IPRange Gateway AuxiliaryAddresses:map
ConfigFrom Network
NetworkContainer Name EndpointID MacAddress IPv4Address IPv6Address
Volume ClusterVolume:nil CreatedAt Driver Labels:map Mountpoint Name Options:map Scope Status:map UsageData:*UsageData
UsageData RefCount:int Size:int
`;

export type Shape = readonly (readonly [name: string, type: string])[];

let parsed: Map<string, Shape> | undefined;

/** The fields of a struct by its name. */
export function shapeOf(name: string): Shape | undefined {
  parsed ??= new Map(
    SHAPES.trim()
      .split('\n')
      .map((line) => {
        const [struct = '', ...fields] = line.split(' ');
        const shape = fields.map((field) => {
          const [fieldName = '', type = 'string'] = field.split(':');
          return [fieldName, type.replace('_', ' ')] as const;
        });
        return [struct, shape] as const;
      }),
  );
  return parsed.get(name);
}

export const ROOT_SHAPES: Readonly<Partial<Record<DocumentKind, string>>> = {
  container: 'Container',
  image: 'Image',
  network: 'Network',
  volume: 'Volume',
};
