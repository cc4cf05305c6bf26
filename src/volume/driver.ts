/** A volume as its driver knows it. */
export interface DrivenVolume {
  name: string;
  options: Record<string, string>;
}

/** Keeps named directories that outlive containers and bypass the union filesystem. */
export interface VolumeDriver {
  readonly name: string;
  create(volume: DrivenVolume): Promise<void>;
  remove(volume: DrivenVolume): Promise<void>;
  /** Where the volume's content is; mounted for as long as some container holds it. */
  mount(volume: DrivenVolume, holder: string): Promise<string>;
  /** Of a holder that holds nothing it only unmounts what nobody else holds. */
  unmount(volume: DrivenVolume, holder: string): Promise<void>;
  /** Counts a holder whose mount an earlier engine process made. */
  adopt(volume: DrivenVolume, holder: string): void;
  /** The directory as `inspect` shows it. */
  path(name: string): string;
}
