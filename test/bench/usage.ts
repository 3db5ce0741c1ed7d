import { readdirSync, readFileSync } from 'node:fs'

/** Ticks of the kernel's process times per second; 100 on every Linux of today. */
const ticksPerSecond = 100

/**
 * CPU seconds that a process and its ended children have used; 0 for one that is gone. Linux only: from
 * `/proc/PID/stat`.
 */
export function cpuSeconds(pid: number): number {
  const fields = statFields(pid)
  const times = [11, 12, 13, 14].map((place) => Number(fields[place] ?? 0))
  return times.reduce((sum, ticks) => sum + ticks, 0) / ticksPerSecond
}

/** CPU seconds of a process and all that descend from it: Postgres forks a process for each connection. */
export function treeCpuSeconds(pid: number): number {
  return cpuSeconds(pid) + childrenOf(pid).reduce((sum, child) => sum + treeCpuSeconds(child), 0)
}

/** Largest resident memory that a process ever had, in MB. */
export function peakRssMb(pid: number): number {
  return statusKb(pid, 'VmHWM') / 1000
}

/** Resident memory now, in MB. */
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

/** Fields of `/proc/PID/stat` from the third on: the second is the command's name and may hold anything. */
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
