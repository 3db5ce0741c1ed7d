/** The parts of a posted message that Discord reads. */
export interface WebhookMessage {
  content: string
  username: string | null
  embeds: Embed[]
  /** Kinds of mention that notify people: `users`, `roles`, `everyone`. */
  pings: string[]
}

export interface Embed {
  title?: string
  description?: string
  url?: string
  timestamp?: string
  color?: number
  fields: { name: string; value: string; inline: boolean }[]
  footer?: string
  author?: string
}

/** One violated limit: where, Discord's code and its words. */
export interface Violation {
  path: string
  code: string
  message: string
}

export type CheckedMessage =
  | { type: 'message'; message: WebhookMessage }
  | { type: 'empty' }
  | { type: 'invalid'; violations: Violation[] }

const most = { content: 2_000, embeds: 10, title: 256, description: 4_096, fields: 25 } as const
const mostOf = { name: 256, value: 1_024, footer: 2_048, author: 256, username: 80, total: 6_000 } as const
const mentionKinds: readonly unknown[] = ['users', 'roles', 'everyone']

/**
 * Checks a posted body against every documented limit and names all violations. Text is trimmed first, as
 * Discord does. Lengths are UTF-16 units, never fewer than Discord counts, so Discord accepts what passes here.
 */
export function checkMessage(body: unknown): CheckedMessage {
  const check = new Check()
  const raw = check.object(body, '')
  const content = check.text(raw.content, { path: 'content', max: most.content })
  const username = check.text(raw.username, { path: 'username', max: mostOf.username })
  const embeds = check
    .list(raw.embeds, { path: 'embeds', max: most.embeds })
    .map((embed, place) => toEmbed(check, embed, `embeds.${place}`))
  const pings = toPings(check, raw.allowed_mentions)
  const total = embeds.reduce((sum, embed) => sum + embedLength(embed), 0)
  if (total > mostOf.total) {
    check.fail('embeds', 'MAX_EMBED_SIZE_EXCEEDED', `Embed size exceeds maximum size of ${mostOf.total}`)
  }
  if (check.violations.length > 0) return { type: 'invalid', violations: check.violations }
  if (content === '' && embeds.every((embed) => embedLength(embed) === 0)) return { type: 'empty' }
  return { type: 'message', message: { content, username: username === '' ? null : username, embeds, pings } }
}

/** Characters that count towards the 6,000 of all embeds together. */
function embedLength(embed: Embed): number {
  const texts = [embed.title, embed.description, embed.footer, embed.author]
  const fields = embed.fields.flatMap(({ name, value }) => [name, value])
  return [...texts, ...fields].reduce((sum, text) => sum + (text?.length ?? 0), 0)
}

/** Discord's nested form of errors: `embeds.0.title` becomes `{embeds:{0:{title:{_errors:[…]}}}}`. */
export function toErrorBody(violations: readonly Violation[]): object {
  const errors: Tree = {}
  for (const { path, code, message } of violations) {
    let node = errors
    for (const step of path.split('.').filter((part) => part !== '')) {
      const next: Tree = node[step] ?? {}
      node[step] = next
      node = next
    }
    const list = node._errors ?? []
    Object.assign(node, { _errors: [...(Array.isArray(list) ? list : []), { code, message }] })
  }
  return { message: 'Invalid Form Body', code: 50035, errors }
}

interface Tree {
  [step: string]: Tree
}

function toEmbed(check: Check, value: unknown, path: string): Embed {
  const raw = check.object(value, path)
  const fields = check
    .list(raw.fields, { path: `${path}.fields`, max: most.fields })
    .map((field, place) => toField(check, field, `${path}.fields.${place}`))
  const footer = raw.footer === undefined ? {} : check.object(raw.footer, `${path}.footer`)
  const author = raw.author === undefined ? {} : check.object(raw.author, `${path}.author`)
  const color = check.color(raw.color, `${path}.color`)
  const texts = {
    title: check.text(raw.title, { path: `${path}.title`, max: most.title }),
    description: check.text(raw.description, { path: `${path}.description`, max: most.description }),
    url: check.url(raw.url, `${path}.url`),
    timestamp: check.timestamp(raw.timestamp, `${path}.timestamp`),
    footer: check.text(footer.text, { path: `${path}.footer.text`, max: mostOf.footer }),
    author: check.text(author.name, { path: `${path}.author.name`, max: mostOf.author }),
  }
  const present = Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== ''))
  return { ...present, fields, ...(color !== null && { color }) }
}

function toField(check: Check, value: unknown, path: string): Embed['fields'][number] {
  const raw = check.object(value, path)
  return {
    name: check.required(raw.name, { path: `${path}.name`, max: mostOf.name }),
    value: check.required(raw.value, { path: `${path}.value`, max: mostOf.value }),
    inline: raw.inline === true,
  }
}

/** Without `allowed_mentions` a webhook notifies users. */
function toPings(check: Check, value: unknown): string[] {
  if (value === undefined || value === null) return ['users']
  const { parse = [] } = check.object(value, 'allowed_mentions')
  const kinds = check.list(parse, { path: 'allowed_mentions.parse', max: mentionKinds.length })
  if (!kinds.every((kind) => mentionKinds.includes(kind))) {
    check.fail(
      'allowed_mentions.parse',
      'BASE_TYPE_CHOICES',
      "Value must be one of ('users', 'roles', 'everyone').",
    )
  }
  return kinds.map(String)
}

class Check {
  readonly violations: Violation[] = []

  fail(path: string, code: string, message: string): void {
    this.violations.push({ path, code, message })
  }

  object(value: unknown, path: string): Record<string, unknown> {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value }
    this.fail(path, 'MODEL_TYPE_CONVERT', 'Only dictionaries may be used in a ModelType')
    return {}
  }

  list(value: unknown, { path, max }: { path: string; max: number }): unknown[] {
    if (value === undefined || value === null) return []
    if (!Array.isArray(value)) {
      this.fail(path, 'LIST_TYPE_CONVERT', 'Only iterables may be used in a ListType')
      return []
    }
    if (value.length > max) this.fail(path, 'BASE_TYPE_MAX_LENGTH', `Must be ${max} or fewer in length.`)
    return value
  }

  text(value: unknown, { path, max }: { path: string; max: number }): string {
    if (value === undefined || value === null) return ''
    if (typeof value !== 'string') {
      this.fail(path, 'STRING_TYPE_CONVERT', 'Could not interpret as string.')
      return ''
    }
    const text = value.trim()
    if (text.length > max) this.fail(path, 'BASE_TYPE_MAX_LENGTH', `Must be ${max} or fewer in length.`)
    return text
  }

  required(value: unknown, limit: { path: string; max: number }): string {
    const before = this.violations.length
    const text = this.text(value, limit)
    if (text === '' && this.violations.length === before) {
      this.fail(limit.path, 'BASE_TYPE_REQUIRED', 'This field is required')
    }
    return text
  }

  color(value: unknown, path: string): number | null {
    if (value === undefined || value === null) return null
    if (typeof value !== 'number' || !Number.isInteger(value)) {
      this.fail(path, 'NUMBER_TYPE_COERCE', `Value "${String(value)}" is not int.`)
      return null
    }
    if (value < 0) this.fail(path, 'NUMBER_TYPE_MIN', 'int value should be greater than or equal to 0.')
    if (value > 0xffffff)
      this.fail(path, 'NUMBER_TYPE_MAX', 'int value should be less than or equal to 16777215.')
    return value
  }

  url(value: unknown, path: string): string {
    const url = this.text(value, { path, max: 2_048 })
    if (url !== '' && !(URL.canParse(url) && /^https?:$/.test(new URL(url).protocol))) {
      this.fail(path, 'URL_TYPE_INVALID_URL', 'Not a well formed URL.')
    }
    return url
  }

  timestamp(value: unknown, path: string): string {
    const time = this.text(value, { path, max: 64 })
    if (time !== '' && !(/^\d{4}-\d\d-\d\dT/.test(time) && Number.isFinite(Date.parse(time)))) {
      this.fail(path, 'DATE_TIME_TYPE_PARSE', `Could not parse ${time}. Should be ISO8601.`)
    }
    return time
  }
}
