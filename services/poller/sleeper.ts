/** A sleep that can be cut short. */
export interface Sleeper {
  /** Resolves after `ms` or at the next {@link wake}; at once if there was one since the last sleep. */
  sleep(ms: number): Promise<void>
  wake(): void
}

export function createSleeper(): Sleeper {
  let rouse: (() => void) | null = null
  let isAwake = false
  return {
    async sleep(ms) {
      if (!isAwake && ms > 0) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, ms)
          rouse = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      }
      rouse = null
      isAwake = false
    },
    wake() {
      isAwake = true
      rouse?.()
    },
  }
}
