import type { WireSchema } from './generated-schemas.ts';

/**
 * Structures of requests that the API description does not have as bodies: those of the experimental operations, which it leaves out
 * (moby's api/types/checkpoint), and the `platform` of images, a query parameter (the OCI image index's).
 */
export const UNDESCRIBED: Readonly<Record<string, Record<string, WireSchema>>> = {
  CheckpointCreateRequest: { CheckpointID: 'string', CheckpointDir: 'string', Exit: 'bool' },
  OCIPlatform: { os: 'string', architecture: 'string', variant: 'string' },
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
