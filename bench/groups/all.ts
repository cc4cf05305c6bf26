import type { Group } from '../measure.ts';
import { api } from './api.ts';
import { exec } from './exec.ts';
import { followers } from './followers.ts';
import { list } from './list.ts';
import { load } from './load.ts';
import { manyContainers } from './many.ts';
import { memory } from './memory.ts';
import { run } from './run.ts';
import { vm } from './vm.ts';

/** In the order in which they are measured: memory at rest means before the work of the others. */
export const GROUPS: Record<string, Group> = {
  memory,
  run,
  api,
  exec,
  many: manyContainers,
  load,
  list,
  followers,
  vm,
};
