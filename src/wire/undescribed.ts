import type { WireSchema } from './generated-schemas.ts';

/** Bodies of the experimental operations, which the API description leaves out (moby's api/types/checkpoint). */
export const UNDESCRIBED: Readonly<Record<string, Record<string, WireSchema>>> = {
  CheckpointCreateRequest: { CheckpointID: 'string', CheckpointDir: 'string', Exit: 'bool' },
};

export interface CheckpointCreateRequest {
  CheckpointID?: string;
  /** Where the checkpoint is kept, instead of with the container. */
  CheckpointDir?: string;
  Exit?: boolean;
}

export interface CheckpointSummary {
  Name: string;
}
