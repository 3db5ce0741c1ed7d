/**
 * Flags of Node's for a service, also in the Dockerfile and in `npm run service`.
 *
 * - Node's own limit lets the young generation grow by 100 MB for the garbage of parsed pages; with this one it
 *   costs no more CPU.
 * - V8 counts the bytes of pages as if they were its own, and a small heap then gets a full collection every 13 MB
 *   of them. Below this size, in MB, it leaves that be: a quarter of the archiver's CPU. A larger one saves no more,
 *   and costs the poller 20 MB.
 * - Left to itself, V8 lets what is old grow to almost three times of what is in use before it collects it: with
 *   this one a busy loader has 65 MB less for 5 % more CPU.
 * - The heap can be trimmed when there is nothing to do; see `lib/idle-heap.ts`.
 */
export const nodeFlags = [
  '--max-semi-space-size=8',
  '--initial-old-space-size=32',
  '--heap-growing-percent=150',
  '--expose-gc',
]

/**
 * What goes with them. Threads that compress pages would each keep an arena of glibc's for what they have freed:
 * 15 to 30 MB of a busy service.
 */
export const nodeEnv = { MALLOC_ARENA_MAX: '1' }
