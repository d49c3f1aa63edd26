// A client: `load` is speed (messages and their echoes), latency (one at a time) or commit (writes).
const fero = require('fero')
    , Change = require('fero/messages/change')
    , { params, say, next, now, rss, options, until } = require('./line')
    , text = '*'.repeat(params.bytes)

const speed = async cache => {
  const counts = { tacks: 0, yacks: 0, sacks: 0 }, last = { tacks: new Map(), yacks: new Map() }
  let told = () => {}
  const cumulative = name => event => {
    counts[name] += event.value - (last[name].get(event.peer) || 0)
    last[name].set(event.peer, event.value)
    told(name)
  }
  cache.on('tack', cumulative('tacks'))
  cache.on('ack', cumulative('yacks'))
  cache.on('reply', () => { counts.sacks++; told('sacks') })

  return count => {
    // Serialised before the clock starts, as in the package's own benchmark, unless told otherwise.
    const prepared = params.prepared && Array.from({ length: count }, () => new Change('update', '', text).buffer)
        , goal = Object.fromEntries(Object.entries(counts).map(([name, n]) => [name, n + count]))
        , times = {}
    return new Promise(resolve => {
      const start = now()
      told = name => {
        if (counts[name] < goal[name] || times[name] !== undefined) return
        times[name] = now() - start
        if (Object.keys(times).length == 3) resolve(times)
      }
      for (let i = 0; i < count; i++)
        cache.peers.send(prepared ? prepared[i] : new Change('update', '', text))
    })
  }
}

const latency = async cache => {
  let told = () => {}
  cache.on(params.stage, () => told())
  return async count => {
    const seconds = []
    for (let i = 0; i < count; i++) {
      const start = now()
      await new Promise(resolve => {
        told = resolve
        cache.peers.send(text)
      })
      seconds.push(now() - start)
    }
    return { seconds }
  }
}

const commit = async cache => {
  let seen = 0, told = () => {}
  cache.on('change', () => { seen++; told() })
  return count => {
    const keys = Array.from({ length: params.keys }, (_, i) => `k${i}`), goal = seen + count
    return new Promise(resolve => {
      const start = now()
      told = () => seen == goal && resolve({ seen: now() - start })
      for (let i = 0; i < count; i++) cache.update(keys[i % keys.length], text)
    })
  }
}

const main = async () => {
  const cache = await fero('bench', options({ client: true }))
  await until(() => cache.peers.lists.connected.length >= 1)
  const round = await { speed, latency, commit }[params.load](cache)
  if (params.warm) await round(params.warm)
  say('ready')
  for (;;) {
    await next()
    say('result', { times: await round(params.count), rss: rss() })
  }
}

main().catch(error => { say('failed', { error: error.stack }); process.exit(1) })
