/** The variable that says where the daemon is, and so that no context does. */
export function overridingVariable(env: Record<string, string | undefined>): string | undefined {
  return ['HULL_HOST', 'DOCKER_HOST'].find((name) => env[name]);
}
