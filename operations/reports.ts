import type { z } from 'zod'
import { playLine } from './account/play-line.ts'
import { indexReport, receipt, rotationReport } from './account/report.ts'
import { auditReport } from './audit/report.ts'
import { burialReport, decisionReport, letterReport, lettersReport } from './dead-letters/report.ts'
import { doctorReport } from './doctor/report.ts'
import { eventReport } from './events/report.ts'
import { gapsOfUserReport, gapsReport } from './gaps/report.ts'
import { lagReport } from './lag/report.ts'
import { committedOffsets, moveReport, offsetsReport } from './offsets/report.ts'
import { replayReport } from './rerun/replay.ts'
import { restoreReport } from './rerun/restore-report.ts'
import { statusReport } from './status/report.ts'
import { connectReport, enrolledUser, statusChange, usersReport } from './users/report.ts'

/** What a command prints with `--json`. */
export interface Report {
  /** As the operator types it: `dead-letters list`. */
  command: string
  description: string
  schema: z.ZodType
  /** The command prints several documents, each on a line of its own. */
  lines?: true
}

/** The reports of all commands in the order of the help. docs/json.md is made from them. */
export const reports: readonly Report[] = [
  {
    command: 'status',
    description: 'Whether all is well. What cannot be read is null.',
    schema: statusReport,
  },
  {
    command: 'doctor',
    description: 'What each check found.',
    schema: doctorReport,
  },
  {
    command: 'users connect',
    description: 'First where the user gives the consent, then who was connected.',
    schema: connectReport,
    lines: true,
  },
  { command: 'users add', description: 'Who was connected.', schema: enrolledUser, lines: true },
  { command: 'users list', description: 'Every user, by id.', schema: usersReport },
  { command: 'users pause', description: 'The user, before and after.', schema: statusChange },
  { command: 'users resume', description: 'The user, before and after.', schema: statusChange },
  {
    command: 'lag',
    description: 'How far each group is behind. With --watch, one such document a line for each sample.',
    schema: lagReport,
  },
  { command: 'offsets show', description: 'Where each group stands.', schema: offsetsReport },
  { command: 'offsets reset', description: 'The move that was planned or made.', schema: moveReport },
  { command: 'offsets export', description: 'What the group has committed.', schema: committedOffsets },
  { command: 'offsets import', description: 'The move that was planned or made.', schema: moveReport },
  {
    command: 'dead-letters list',
    description:
      'Groups of dead letters, the one with the latest death first; with --each single ones, the latest first.',
    schema: lettersReport,
  },
  { command: 'dead-letters show', description: 'One dead letter, decoded.', schema: letterReport },
  { command: 'dead-letters redrive', description: 'What was put back, or would be.', schema: decisionReport },
  {
    command: 'dead-letters discard',
    description: 'What was discarded, or would be.',
    schema: decisionReport,
  },
  {
    command: 'dead-letters bury',
    description: 'The record that is given up, or would be.',
    schema: burialReport,
  },
  { command: 'gaps list', description: 'Where plays are missing, the newest first.', schema: gapsReport },
  {
    command: 'gaps show',
    description: 'The newest gaps of a user, at most 20, and why plays were lost.',
    schema: gapsOfUserReport,
  },
  { command: 'events', description: 'Operational events, oldest first.', schema: eventReport, lines: true },
  {
    command: 'audit',
    description: 'What entered the stream, and where it ended.',
    schema: auditReport,
  },
  {
    command: 'replay',
    description: 'What a replay would do (`executed` is false), or what a run has done.',
    schema: replayReport,
  },
  {
    command: 'restore',
    description:
      'What a restore would do (`executed` is false), of the archive or of a file, or what a run has done.',
    schema: restoreReport,
  },
  {
    command: 'account export',
    description: 'A play, oldest first; also without --json.',
    schema: playLine,
    lines: true,
  },
  { command: 'account erase', description: 'The receipt.', schema: receipt },
  { command: 'account index', description: 'What the index lacked.', schema: indexReport },
  {
    command: 'account rotate-keys',
    description: 'Users by what became of their tokens.',
    schema: rotationReport,
  },
]
