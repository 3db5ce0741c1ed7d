/**
 * Loaded into the services of the chaos suite: SIGHUP moves the process's clock an hour forward, the next one back,
 * as a wrong time server does. Timers go on; readers of the clock see the step.
 */
const hourMs = 3_600_000
let offsetMs = 0
const RealDate = Date
const realNow = Date.now.bind(Date)

process.on('SIGHUP', () => {
  offsetMs = offsetMs === 0 ? hourMs : 0
})

class SteppedDate extends RealDate {
  constructor(...args: ConstructorParameters<typeof Date> | []) {
    if (args.length === 0) super(SteppedDate.now())
    else super(...(args as [number]))
  }

  static override now(): number {
    return realNow() + offsetMs
  }
}

globalThis.Date = SteppedDate as DateConstructor

export {}
