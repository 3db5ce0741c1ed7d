import type { Random } from '../random.ts'

/** Invented words of several scripts: nothing here is the name of a real recording or person. */
const adjectives = [
  'Paper',
  'Hollow',
  'Velvet',
  'Northern',
  'Ångström',
  'Électrique',
  'Silent',
  'Copper',
  'Über',
  'Midnight',
  'Golden',
  'Crooked',
  'Señor',
  'Slow',
  'Winter',
  'Neon',
  'Плавный',
  'Broken',
  'Salt',
  'Ósmy',
  'Lunar',
  'Tender',
] as const
const nouns = [
  'Harbour',
  'Lanterns',
  'Kites',
  'Machine',
  'Orchard',
  'Caravan',
  'Fjörd',
  'Corazón',
  'Static',
  'Tides',
  'Vogel',
  'Garden',
  'Перрон',
  '夜汽車',
  '바람',
  'Ziņģe',
  'Mirrors',
  'Atlas',
  'Żuraw',
  'Signal',
  'Meadow',
  '🌙',
] as const
const titleForms = [
  (a: string, b: string) => `${a} ${b}`,
  (a: string, b: string) => `${b} (${a} Version)`,
  (_: string, b: string) => `Last ${b}`,
  (a: string, b: string) => `${a} & ${b}`,
  (a: string, b: string) => `${b}, Pt. 2 - "${a}"`,
  (_: string, b: string) => b,
] as const
const genres = [
  'dream pop',
  'norwegian jazz',
  'chanson',
  'hyperpop',
  'ambient',
  'folk rock',
  'deep house',
  'k-indie',
  'cumbia',
  'post-punk',
  'lo-fi beats',
  'neo soul',
  'drum and bass',
  'classical piano',
  'afrobeats',
  'schlager',
] as const

export function toTitle(random: Random): string {
  return random.pick(titleForms)(random.pick(adjectives), random.pick(nouns))
}

export function toArtistName(random: Random): string {
  const name = `${random.pick(adjectives)} ${random.pick(nouns)}`
  return random.chance(0.4) ? `The ${name}` : name
}

export function toGenres(random: Random): string[] {
  const chosen = new Set<string>()
  const count = random.int(4)
  for (let place = 0; place < count; place += 1) chosen.add(random.pick(genres))
  return [...chosen]
}

/** 185 two-letter markets, as many as Spotify lists for a track sold everywhere. */
export const markets: readonly string[] = (
  'AR AU AT BE BO BR BG CA CL CO CR CY CZ DK DO DE EC EE SV FI FR GR GT HN HK HU IS IE IT LV LT LU MY MT MX NL NZ ' +
  'NI NO PA PY PE PH PL PT SG SK ES SE CH TW TR UY US GB AD LI MC ID JP TH VN RO IL ZA SA AE BH QA OM KW EG MA DZ ' +
  'TN LB JO PS IN BY KZ MD UA AL BA HR ME MK RS SI KR BD PK LK GH KE NG TZ UG AG AM BS BB BZ BT BW BF CV CW DM FJ ' +
  'GM GE GD GW GY HT JM KI LS LR MW MV ML MH FM NA NR NE PW PG PR WS SM ST SN SC SL SB KN LC VC SR TL TO TT TV VU ' +
  'AZ BN BI KH CM TD KM GQ SZ GA GN KG LA MO MR MN NP RW TG UZ ZW BJ MG MU MZ AO CI DJ ZM CD CG IQ LY TJ VE ET XK'
).split(' ')
