import { escapeHtml } from '../../lib/html.ts'
import type { World } from './world.ts'

/** The page on which a person picks the simulated listener who consents. */
export function toConsentPage(world: World, query: Record<string, unknown>): string {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) parameters.set(name, String(value))
  const link = (extra: string) => escapeHtml(`/authorize?${parameters}&${extra}`)
  const names = Array.from({ length: Math.min(20, world.listeners.count) }, (_, index) => {
    const listener = world.listeners.get(index)
    return `<li><a href="${link(`listener=${index}`)}">Agree as ${escapeHtml(listener?.displayName ?? `listener-${index}`)}</a></li>`
  })
  return `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Simulated Spotify: consent</title>
<style>body{font:16px/1.5 system-ui;max-width:34rem;margin:4rem auto}li{margin:.3rem 0}</style></head>
<body><h1>Simulated Spotify</h1>
<p>The app <b>${escapeHtml(String(query.client_id))}</b> asks for: ${escapeHtml(String(query.scope ?? 'nothing special'))}.</p>
<ul>${names.join('\n')}</ul>
<p><a href="${link('decision=cancel')}">Cancel</a></p></body></html>`
}
