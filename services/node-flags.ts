/**
 * Flags of Node's for a service, also in the Dockerfile and in `npm run service`. Node's own limit lets the young
 * generation grow by 100 MB for the garbage of parsed pages; with this one it costs no more CPU.
 */
export const nodeFlags = ['--max-semi-space-size=8']
