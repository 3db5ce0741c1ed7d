import { join } from 'node:path'

/** The Java to run: the same choice as stack/setup.mjs, which checks its version. */
export function javaCommand(): string {
  return process.env.JAVA_HOME ? join(process.env.JAVA_HOME, 'bin', 'java') : 'java'
}

/** Small heaps and the collector made for them, so that the whole stack fits beside other work. */
export function javaArgs({ heapMiB, quickStart }: { heapMiB: number; quickStart: boolean }): string[] {
  return [
    `-Xmx${heapMiB}m`,
    '-XX:+UseSerialGC',
    '-XX:-UsePerfData',
    '-Djava.awt.headless=true',
    // Only the first compiler: starts sooner, is slower at full load.
    ...(quickStart ? ['-XX:TieredStopAtLevel=1'] : []),
  ]
}
