import { invalid } from '#/base/errors.ts';
import { familiarName, familiarReference, parseReference, withDefaultTag } from '#/oci/reference.ts';
import type { EventLog } from '#/state/events.ts';
import type { ImageLayers } from '../image-layers.ts';
import type { ImageRecords } from '../image-records.ts';
import { importImage } from '../import-image.ts';
import type { Report } from '../progress.ts';
import { busyboxRootFilesystem } from './busybox.ts';
import { debianRootFilesystem, type RootFilesystem } from './debian.ts';

export interface BootstrapOptions {
  /** `debian:<suite>`, `debian:<suite>-slim` or `busybox`. */
  reference: string;
  /** URI of a Debian archive in place of the host's own. */
  mirror?: string;
}

/**
 * Makes a base image from a distribution's own packages, whose signatures apt checks: images where no registry is. The root
 * filesystem streams into its layer as it is packed.
 */
export async function bootstrapImage(
  context: { records: ImageRecords; layers: ImageLayers; events: EventLog },
  options: BootstrapOptions,
  report: Report,
  signal?: AbortSignal,
): Promise<void> {
  const reference = withDefaultTag(parseReference(options.reference));
  const { mirror } = options;
  if (mirror !== undefined && !/^(https?|file|ftp):\/{2,3}\S+$/.test(mirror)) {
    throw invalid(`Cannot use the mirror ${JSON.stringify(mirror)}: it is no URI`);
  }
  await using root = await rootFilesystem(
    reference.tag ?? '',
    familiarName(reference),
    mirror,
    report,
    signal,
  );
  const id = await importImage(
    context,
    root.tar,
    {
      name: familiarReference(reference),
      message: root.comment,
      changes: root.changes,
      created: root.created,
    },
    signal,
  );
  report({ status: `Made image: ${familiarReference(reference)}`, aux: { ID: id } });
}

function rootFilesystem(
  tag: string,
  name: string,
  mirror: string | undefined,
  report: Report,
  signal?: AbortSignal,
): Promise<RootFilesystem> {
  if (name === 'debian') return debianRootFilesystem(tag, mirror, report, signal);
  if (name === 'busybox') return busyboxRootFilesystem(report, signal);
  throw invalid(
    `Cannot bootstrap "${name}": Hull makes "debian:<suite>" and "busybox" from packages; load or import other images`,
  );
}
