import type { z } from 'zod'
import type { Env, ServiceConfig } from './config.ts'
import {
  kafkaConfig,
  kafkaEnv,
  parseEnv,
  postgresEnv,
  serviceEnv,
  spotifyConfig,
  spotifyEnv,
  wholeNumber,
} from './config.ts'

/** A value of a configuration, and the environment variables that it is made from. */
class Setting<T> {
  readonly env: z.ZodRawShape
  readonly toValue: (values: Record<string, unknown>) => T

  constructor(env: z.ZodRawShape, toValue: (values: Record<string, unknown>) => T) {
    this.env = env
    this.toValue = toValue
  }
}

/** The declaration of a configuration: each value once, under its name. */
export interface Settings {
  readonly [name: string]: Setting<unknown> | Settings
}

/** The configuration that {@link readSettings} reads by a declaration. */
export type ConfigOf<S> = {
  [K in keyof S]: S[K] extends Setting<infer T> ? T : ConfigOf<S[K]>
}

/** Declares the value of one variable. */
export function setting<S extends z.ZodType>(name: string, schema: S): Setting<z.infer<S>> {
  return new Setting({ [name]: schema }, (values) => values[name] as z.infer<S>)
}

/** Declares one value that is made from several variables. */
export function group<E extends z.ZodRawShape, T>(
  env: E,
  toValue: (values: z.infer<z.ZodObject<E>>) => T,
): Setting<T> {
  return new Setting(env, (values) => toValue(values as z.infer<z.ZodObject<E>>))
}

/** Declares a variable in seconds, whose value is in milliseconds. */
export function seconds(name: string, preset: number, bounds: { min?: number; max?: number } = {}) {
  const { min = 1, max } = bounds
  const schema = wholeNumber(min, max).default(preset)
  return setting(
    name,
    schema.transform((n) => n * 1000),
  )
}

/** Declares a variable that may be missing; its value is then null. */
export function optional<S extends z.ZodType>(name: string, schema: S): Setting<z.infer<S> | null> {
  const read = schema.optional()
  return new Setting({ [name]: read }, (values) => (values[name] ?? null) as z.infer<S> | null)
}

/** @throws ConfigError naming every fault */
export function readSettings<S extends Settings>(settings: S, env: Env): ConfigOf<S> {
  return toConfig(settings, parseEnv(envOf(settings), env)) as ConfigOf<S>
}

/** Every variable of a declaration. */
export function envOf(settings: Settings): z.ZodRawShape {
  const parts = Object.values(settings).map((s) => (s instanceof Setting ? s.env : envOf(s)))
  return Object.assign({}, ...parts)
}

function toConfig(settings: Settings, values: Record<string, unknown>): object {
  const entries = Object.entries(settings)
  return Object.fromEntries(
    entries.map(([name, s]) => [name, s instanceof Setting ? s.toValue(values) : toConfig(s, values)]),
  )
}

/** Settings of every service. */
export const serviceSettings = {
  http: {
    port: setting('HTTP_PORT', serviceEnv.HTTP_PORT),
    host: setting('HTTP_HOST', serviceEnv.HTTP_HOST),
  },
  logLevel: setting('LOG_LEVEL', serviceEnv.LOG_LEVEL),
  kafka: group(kafkaEnv, kafkaConfig),
} satisfies Settings & Record<keyof ServiceConfig, unknown>

export const databaseUrl = setting('DATABASE_URL', postgresEnv.DATABASE_URL)
export const spotify = group(spotifyEnv, spotifyConfig)
