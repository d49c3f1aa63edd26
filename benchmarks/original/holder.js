// A holder: the first server fills itself with records, the next one is timed until it has them all.
const fero = require('fero')
    , { params, say, next, now, options, until } = require('./line')

const main = async () => {
  const begun = now()
  const cache = await fero('bench', options({}))
  if (params.others) {
    await until(() => cache.partitions.size() >= params.count)
    say('ready', { seconds: now() - begun })
  } else {
    const text = '*'.repeat(params.bytes), tidy = global.gc || (() => {})
    tidy()
    const before = process.memoryUsage().rss
    for (let i = 0; i < params.count; i++) cache.update(`k${i}`, text)
    await until(() => cache.partitions.size() >= params.count)
    tidy()
    say('ready', { grown: process.memoryUsage().rss - before })
  }
  for (;;) {
    await next()
    say('result')
  }
}

main().catch(error => { say('failed', { error: error.stack }); process.exit(1) })
