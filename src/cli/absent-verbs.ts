/** What docker's users may type and Hull does not do, each with the reason or the way round. */
const SWARM = 'hull has no swarm mode: clusters drive it through Kubernetes';
const REGISTRY =
  'hull does not talk to registries; load images with "hull load" or make one with "hull image bootstrap"';
const BUILD = 'hull does not build images; "hull commit" and "hull import" make them';
const CONTEXT = 'hull reads the contexts that "docker context" keeps, and makes none';

export const ABSENT_VERBS: Readonly<Record<string, string>> = {
  build: BUILD,
  builder: BUILD,
  buildx: BUILD,
  'image build': BUILD,
  push: REGISTRY,
  'image push': REGISTRY,
  search: REGISTRY,
  login: REGISTRY,
  logout: REGISTRY,
  manifest: REGISTRY,
  trust: REGISTRY,
  compose: 'hull runs no plugins; "docker compose" with DOCKER_HOST set to hull\'s socket works',
  'context create': CONTEXT,
  'context export': CONTEXT,
  'context import': CONTEXT,
  'context rm': CONTEXT,
  'context update': CONTEXT,
  plugin: 'hull runs no plugins',
  config: SWARM,
  node: SWARM,
  secret: SWARM,
  service: SWARM,
  stack: SWARM,
  swarm: SWARM,
  'volume update': SWARM,
};
