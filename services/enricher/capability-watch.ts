import type { Incidents } from '../../lib/spotify/incidents.ts'
import type { MetadataKind } from '../../lib/topology.ts'
import type { CapabilityStore } from './capability-store.ts'
import type { Capability, Refused } from './route.ts'
import { capabilities, endpoints } from './route.ts'

/** Stores what Spotify refuses to this app, and publishes changes. */
export interface CapabilityWatch {
  refused(): Promise<Refused>
  refuse(capability: Capability): Promise<void>
  /** A request was answered, so its endpoint is open. */
  confirm(kind: MetadataKind, batch: boolean): Promise<void>
}

export function openCapabilityWatch(store: CapabilityStore, incidents: Incidents): CapabilityWatch {
  const confirmed = new Set<Capability>()
  return {
    refused: () => store.refused(),
    async refuse(capability) {
      confirmed.delete(capability)
      await store.remember(capability, false)
      await incidents.raise({
        type: 'spotify_endpoint_gated',
        subject: `endpoint:${capability}`,
        severity: 'info',
        message: `Spotify refuses ${capabilities[capability]} to this app. ${consequences[capability]}`,
      })
    },
    async confirm(kind, batch) {
      const capability = batch ? endpoints[kind].batch : endpoints[kind].single
      if (confirmed.has(capability)) return
      await store.remember(capability, true)
      await incidents.resolve({
        type: 'spotify_endpoint_gated',
        subject: `endpoint:${capability}`,
        message: `Spotify answers ${capabilities[capability]} again.`,
      })
      confirmed.add(capability)
    },
  }
}

const consequences: Record<Capability, string> = {
  'tracks.batch': 'Tracks are asked for one by one.',
  'artists.batch': 'Artists are asked for one by one.',
  'tracks.single': 'Tracks that plays do not describe stay without metadata.',
  'artists.single': 'Artists stay without genres and images.',
  'audio-features.spotify': 'Audio features come from ReccoBeats if AUDIO_FEATURES_PROVIDER is auto.',
}
