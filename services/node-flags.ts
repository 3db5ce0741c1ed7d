/**
 * Node's flags for a service; the Dockerfile and `npm run service` repeat them.
 *
 * - By default the young generation grows by 100 MB of garbage from parsed pages. This limit costs no more CPU.
 * - V8 counts the bytes of pages as its own and gives a small heap a full collection every 13 MB of them. Below this
 *   size, in MB, it does not, which saves a quarter of the archiver's CPU. A larger value saves no more and costs the
 *   poller 20 MB.
 * - By default the old generation grows to almost three times of what is in use before V8 collects it. With this
 *   value a busy loader uses 65 MB less, for 5 % more CPU.
 * - The last flag lets `lib/idle-heap.ts` trim the heap of an idle service.
 */
export const nodeFlags = [
  '--max-semi-space-size=8',
  '--initial-old-space-size=32',
  '--heap-growing-percent=150',
  '--expose-gc',
]

/**
 * Environment of a service. Each thread that compresses pages would keep a glibc arena for freed memory: 15 to
 * 30 MB of a busy service.
 */
export const nodeEnv = { MALLOC_ARENA_MAX: '1' }
