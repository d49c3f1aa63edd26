// A worker's two ways to talk: JSON lines out, command lines in; it ends when its parent does.
const readline = require('readline')

const waiting = [], heard = []

readline
  .createInterface({ input: process.stdin })
  .on('line', line => waiting.length ? waiting.shift()(line) : heard.push(line))
  .on('close', () => process.exit(0))

exports.params = JSON.parse(process.argv[2])

exports.say = (is, more = {}) => process.stdout.write(JSON.stringify({ is, ...more }) + '\n')

exports.next = () => new Promise(resolve => heard.length ? resolve(heard.shift()) : waiting.push(resolve))

exports.now = () => Number(process.hrtime.bigint()) / 1e9

exports.rss = () => process.resourceUsage().maxRSS * 1024

exports.options = more => ({ hosts: ['127.0.0.1'], ports: exports.params.ports, multicast: false, ...more })

exports.until = done => new Promise(resolve => {
  const look = setInterval(() => done() && (clearInterval(look), resolve()), 20)
})
