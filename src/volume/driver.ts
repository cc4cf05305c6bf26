/** Keeps named directories that outlive containers and bypass the union filesystem. */
export interface VolumeDriver {
  readonly name: string;
  create(name: string, options: Record<string, string>): Promise<void>;
  remove(name: string): Promise<void>;
  /** Where the volume's content is; mounted for as long as some container holds it. */
  mount(name: string, holder: string): Promise<string>;
  unmount(name: string, holder: string): Promise<void>;
  /** The directory as `inspect` shows it. */
  path(name: string): string;
}
