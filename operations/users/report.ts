import { z } from 'zod'

export const userStatus = z.enum(['active', 'needs_reauth', 'forbidden', 'paused'])

export const usersReport = z.array(
  z.object({
    id: z.int(),
    spotifyId: z.string(),
    displayName: z.string().nullable(),
    status: userStatus,
    statusReason: z.string().nullable(),
    statusChangedAt: z.date(),
    authorizedAt: z.date().nullable().describe('when the user agreed, or null if that is not known'),
    lastOkAt: z.date().nullable().describe('when the user was polled with success last'),
    nextPollAt: z.date().nullable().describe('null if the user is not to be polled'),
    newestPlayedAt: z.date().nullable(),
    consentDaysLeft: z.int().nullable(),
  }),
)

/** A user's status before and after a change. */
export const statusChange = z.object({
  id: z.int(),
  spotifyId: z.string(),
  displayName: z.string().nullable(),
  before: userStatus,
  status: userStatus,
})

/** The address of the consent page, and the one that Spotify then sends the browser to. */
const consentRequest = z.object({ consentAddress: z.string(), redirectUri: z.string() })

export const enrolledUser = z.object({
  spotifyId: z.string(),
  displayName: z.string().nullable(),
  id: z.int(),
  known: z.boolean().describe('true if the new tokens replaced those of a user who was known'),
})

/** `users connect` prints these one after the other. */
export const connectReport = z.union([consentRequest, enrolledUser])

export type UserStatus = z.infer<typeof userStatus>
export type UsersReport = z.infer<typeof usersReport>
export type UserRow = UsersReport[number]
export type StatusChange = z.infer<typeof statusChange>
export type ConsentRequest = z.infer<typeof consentRequest>
export type EnrolledUser = z.infer<typeof enrolledUser>
