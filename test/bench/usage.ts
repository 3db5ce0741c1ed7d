import { readdirSync, readFileSync } from 'node:fs'

/** Ticks per second in the kernel's process times; 100 on every Linux today. */
const ticksPerSecond = 100

/**
 * CPU seconds of a process and its ended children, from `/proc/PID/stat` (Linux only); 0 if the process has ended.
 */
export function cpuSeconds(pid: number): number {
  const fields = statFields(pid)
  const times = [11, 12, 13, 14].map((place) => Number(fields[place] ?? 0))
  return times.reduce((sum, ticks) => sum + ticks, 0) / ticksPerSecond
}

/** CPU seconds of a process and its descendants: Postgres forks a process for each connection. */
export function treeCpuSeconds(pid: number): number {
  return cpuSeconds(pid) + childrenOf(pid).reduce((sum, child) => sum + treeCpuSeconds(child), 0)
}

/** Peak resident memory of a process in MB. */
export function peakRssMb(pid: number): number {
  return statusKb(pid, 'VmHWM') / 1000
}

/** Resident memory of a process in MB. */
export function rssMb(pid: number): number {
  return statusKb(pid, 'VmRSS') / 1000
}

function statusKb(pid: number, name: string): number {
  const [, kb = '0'] = new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(read(`/proc/${pid}/status`)) ?? []
  return Number(kb) * 1.024
}

function childrenOf(parent: number): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids.filter((pid) => Number(statFields(Number(pid))[1]) === parent).map(Number)
}

/** Fields of `/proc/PID/stat` from the third on; the second, the command's name, may contain anything. */
function statFields(pid: number): string[] {
  const stat = read(`/proc/${pid}/stat`)
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
