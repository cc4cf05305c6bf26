import type { RuntimeSpec } from '#/oci/runtime-spec.ts';

const SCOPE = /^([^/:]+\.slice):([^/:]+):([^/:]+)$/;

/** crun's annotation: the name of the group that it makes inside the scope. */
export const SUBGROUP_ANNOTATION = 'run.oci.systemd.subgroup';
const SUBGROUP = 'container';

/** Whether `linux.cgroupsPath` asks for a scope of systemd's: `slice:prefix:name` instead of a path. */
export function isSystemdScope(cgroupsPath: string): boolean {
  return SCOPE.test(cgroupsPath);
}

/**
 * Where the container's processes, limits and counters are, below the hierarchies' roots: the unit `prefix-name.scope` in its slice.
 * With `subgroup` in a group inside it: crun tells systemd of no memory limit, and systemd would take from the scope
 * itself what it does not know of; what is inside is the runtime's own.
 */
export function cgroupPathOf(cgroupsPath: string, subgroup: boolean): string {
  const scope = SCOPE.exec(cgroupsPath);
  if (scope === null) return cgroupsPath;
  const [, slice = '', prefix, name] = scope;
  return `${slicePath(slice)}/${prefix}-${name}.scope${subgroup ? `/${SUBGROUP}` : ''}`;
}

/** `a-b.slice` lies in `a.slice` (systemd.slice(5)). */
function slicePath(slice: string): string {
  const parts = slice.slice(0, -'.slice'.length).split('-');
  return parts.map((_, index) => `/${parts.slice(0, index + 1).join('-')}.slice`).join('');
}

/** The specification for a runtime that asks systemd: the scope goes when it is empty, failed or not. */
export function forSystemd(spec: RuntimeSpec): RuntimeSpec {
  return {
    ...spec,
    annotations: {
      'org.systemd.property.CollectMode': "'inactive-or-failed'",
      ...spec.annotations,
      [SUBGROUP_ANNOTATION]: SUBGROUP,
    },
  };
}
