/*
 * Who may import whom, as ARCHITECTURE.md draws it. Types count like code. Tests may import everything, and nothing
 * imports them.
 */

/** By floor, the lower ones. */
const mayImport = {
  lib: [],
  db: ['lib'],
  services: ['lib'],
  simulators: ['lib'],
  stack: ['lib', 'services', 'simulators'],
  operations: ['lib', 'services', 'simulators'],
  cli: ['lib', 'services', 'simulators', 'operations'],
  deploy: ['lib', 'services', 'simulators', 'operations', 'cli'],
}

const floors = Object.keys(mayImport)
const tests = '^test/|[.]test[.]ts$'

const arrows = Object.entries(mayImport).map(([floor, lower]) => ({
  name: `${floor}-imports-only-${lower.join('-') || 'itself'}`,
  from: { path: `^${floor}/`, pathNot: tests },
  to: { path: `^(${floors.join('|')})/`, pathNot: `^(${[floor, ...lower].join('|')})/` },
}))

/** Packages that one place imports on behalf of all, so that they can be replaced there. */
const owners = {
  kafkajs: 'lib/kafka',
  '@kafkajs/confluent-schema-registry': 'lib/registry.ts',
  commander: 'cli',
}

const owned = Object.entries(owners).map(([name, owner]) => ({
  name: `only-${owner}-imports-${name}`,
  from: { pathNot: `^${owner}(/|$)|${tests}` },
  to: { path: `^node_modules/${name}/` },
}))

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    ...arrows,
    ...owned,
    { name: 'no-circles', from: {}, to: { circular: true } },
    {
      name: 'services-do-not-know-each-other',
      from: { path: '^services/([^/]+)/', pathNot: tests },
      to: { path: '^services/[^/]+/', pathNot: '^services/$1/' },
    },
    { name: 'nothing-imports-tests', from: { pathNot: tests }, to: { path: tests } },
    {
      name: 'production-needs-no-dev-dependency',
      from: { path: `^(${floors.join('|')})/`, pathNot: `^stack/|${tests}` },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg'], dependencyTypesNot: ['type-only'] },
    },
    { name: 'everything-resolves', from: {}, to: { couldNotResolve: true } },
  ].map((rule) => ({ severity: 'error', ...rule })),
  options: {
    // It sees imports of types too. TypeScript 7 has no API yet that could be asked.
    parser: 'swc',
    doNotFollow: { path: '^node_modules/' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default'] },
  },
}
