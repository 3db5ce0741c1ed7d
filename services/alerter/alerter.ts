import { openCodec } from '../../lib/codec.ts'
import type { Notice } from '../../lib/events.ts'
import { readBurials } from '../../lib/kafka/burial.ts'
import { openKafka } from '../../lib/kafka/kafka.ts'
import type { ServiceContext } from '../../lib/lifecycle.ts'
import { openPostgres } from '../../lib/postgres.ts'
import type { Topic } from '../../lib/topology.ts'
import { topology } from '../../lib/topology.ts'
import type { AlerterConfig } from './config.ts'
import { openDecisions } from './decisions.ts'
import { openDelivery } from './delivery.ts'
import { AlertDesk } from './desk.ts'
import { openDiscord } from './discord.ts'
import { AlertMemory } from './memory.ts'
import { openOutageWatch } from './outage-watch.ts'
import { openPollingWatch } from './polling-watch.ts'
import { Poster } from './poster.ts'
import { openRaisedAlerts } from './raised-alerts.ts'
import { MessageRate } from './rate.ts'
import { openSampler } from './sampler.ts'
import { openAlertSink } from './sink.ts'

/** Dead letters and events → Discord; and the watches that publish events about what no other service reports. */
export async function startAlerter(service: ServiceContext<AlerterConfig>): Promise<void> {
  const { name, config, scope, log, health } = service
  const streams = topology(config.kafka.prefix)
  const { deadLetters, events, groups } = streams
  const { webhook, postTimeoutMs: timeoutMs } = config
  const discord = webhook && (await scope.use(openDiscord({ webhook, timeoutMs }), 'discord'))
  const url = config.databaseUrl
  const sql = url && (await scope.use(openPostgres({ url, connections: 1, name, log }), 'postgres'))
  const codec = openCodec(config.kafka)
  const kafka = await scope.use(openKafka({ ...service, config: config.kafka, codec }), 'kafka')
  const delivery = openDelivery({ sql, webhook, log })
  const rate = new MessageRate(config.messagesPerMinute)
  const poster = new Poster({ discord, rate, delivery, log, health })
  const desk = new AlertDesk({ memory: new AlertMemory(config), poster, digestMs: config.digestMs, log })

  const decisions = openDecisions(sql, log)
  // One consumer for both topics: kafkajs may assign any topic of a group to any of its members.
  await kafka.consumeInto<unknown>({
    group: groups.alerter,
    topics: [deadLetters, events] satisfies Topic[],
    ...(sql && { burials: readBurials(sql) }),
    open: (topic) =>
      openAlertSink({ desk, decisions, topic, group: groups.alerter, deadLetterTopic: deadLetters.name }),
  })

  const publish = (notices: readonly Notice[]) => kafka.publishNotices(...notices)
  const watching = { intervalMs: config.lagIntervalMs, isChosen: () => desk.owns(events.name), log }
  const client = { config: config.kafka, log, name: `${name}-sampler` }
  const outages = { client, codec, topic: events.name, publish, isChosen: watching.isChosen, log }
  await scope.use(openOutageWatch(outages), 'outage watch')
  const raised = openRaisedAlerts(sql, log)
  const lag = { client, topology: streams, rules: config.lag, raised, publish }
  await scope.use(openSampler({ ...watching, ...lag }), 'sampler')
  if (!sql) return
  const polling = { sql, config: config.polling, publish: kafka.publishNotices }
  await scope.use(openPollingWatch({ ...watching, ...polling }), 'polling watch')
}
