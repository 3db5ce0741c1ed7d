import type { Notice } from '../events.ts'
import type { Logger } from '../log.ts'
import { startPeriodicWork } from '../periodic-work.ts'
import type { Resource } from '../scope.ts'
import type { UnsafeSetting } from './rules.ts'
import { toSentence } from './rules.ts'

const everyMs = 3_600_000

export interface WatchOptions {
  /** `servers` or `bucket`. */
  subject: string
  /** @throws when a server is away or this principal may not ask: then nothing is reported */
  find: () => Promise<UnsafeSetting[]>
  raise: (notice: Notice) => Promise<unknown>
  resolve: (notice: Notice) => Promise<unknown>
  log: Logger
}

/**
 * Reports settings with which the promises of docs/guarantees.md cannot hold, at the start of a service and once an
 * hour. The service goes on, and an operator decides. `npm run migrate` and `songswap doctor` show those of the level
 * `warn` too.
 */
export function watchSettings(options: WatchOptions): Resource {
  const { subject, find, raise, resolve, log } = options

  async function work(): Promise<void> {
    const unsafe = (await find()).filter(({ rule }) => rule.level === 'refuse')
    await (unsafe.length > 0 ? raise(toNotice(subject, unsafe)) : resolve(toEnd(subject)))
  }
  return startPeriodicWork({ everyMs, work, log, failed: 'settings_not_checked', fields: { subject } })
}

function toNotice(subject: string, unsafe: readonly UnsafeSetting[]): Notice {
  return {
    type: 'unsafe_setting',
    subject,
    severity: 'critical',
    message: `Records can be lost, changed or refused. ${unsafe.map(toSentence).join('. ')}. All of them: songswap doctor.`,
    details: { settings: unsafe.map(({ rule }) => rule.setting).join(', ') },
  }
}

function toEnd(subject: string): Notice {
  const message = 'All settings of the servers are safe again.'
  return { type: 'unsafe_setting', subject, severity: 'info', state: 'resolved', message }
}
