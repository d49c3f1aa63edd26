// A server: answers "echo" where `echo` is set, else applies the writes it owns.
const fero = require('fero')
    , { params, say, next, rss, options, until } = require('./line')

const main = async () => {
  const cache = await fero('bench', options(params.echo ? { from: request => request.reply('echo') } : {}))
  await until(() => cache.peers.lists.connected.length >= params.others)
  say('ready')
  for (;;) {
    await next()
    say('result', { rss: rss() })
  }
}

main().catch(error => { say('failed', { error: error.stack }); process.exit(1) })
