/** The health of one part of a service. */
export interface HealthReport {
  /** Makes progress; false makes the orchestrator restart the process. */
  alive: boolean
  /** Can do its work now; false during an outage of something it needs, which a restart would not fix. */
  ready: boolean
  detail: string
}

/** Collects the parts' reports for `/healthz` and `/readyz`. */
export class Health {
  readonly #checks = new Map<string, () => HealthReport>()

  /** Registers a part; `check` is called at each probe and must not wait. */
  register(name: string, check: () => HealthReport): void {
    this.#checks.set(name, check)
  }

  report(): { alive: boolean; ready: boolean; parts: Record<string, HealthReport> } {
    const parts = Object.fromEntries([...this.#checks].map(([name, check]) => [name, check()]))
    const reports = Object.values(parts)
    return { alive: reports.every((r) => r.alive), ready: reports.every((r) => r.ready), parts }
  }
}
