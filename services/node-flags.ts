/**
 * Flags of Node's for a service, also in the Dockerfile and in `npm run service`.
 *
 * - Node's own limit lets the young generation grow by 100 MB for the garbage of parsed pages; with this one it
 *   costs no more CPU.
 * - V8 counts the bytes of pages as if they were its own, and a small heap then gets a full collection every 13 MB
 *   of them. Below this size, in MB, it leaves that be: a quarter of the archiver's CPU.
 */
export const nodeFlags = ['--max-semi-space-size=8', '--initial-old-space-size=96']
