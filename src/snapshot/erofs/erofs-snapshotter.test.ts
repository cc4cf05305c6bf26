import { snapshotterConformance } from '../snapshotter.conformance.ts';

snapshotterConformance('erofs');
