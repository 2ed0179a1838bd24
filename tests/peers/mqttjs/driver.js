// MQTT.js driven by a test: a command as JSON on each line of standard input, what happens as JSON on standard output.
'use strict'

const fs = require('fs')
const mqtt = require('mqtt')
const readline = require('readline')

let client

function tell(event, fields) {
  process.stdout.write(JSON.stringify({ event, ...fields }) + '\n')
}

function reasonOf(error) {
  return { code: error.code === undefined ? null : error.code, because: error.message }
}

const commands = {
  connect({ url, files, options }) {
    for (const [name, path] of Object.entries(files)) options[name] = fs.readFileSync(path)
    client = mqtt.connect(url, options)
    client.on('connect', (packet) => tell('connected', { present: packet.sessionPresent }))
    client.on('error', (error) => tell('error', reasonOf(error)))
    client.on('close', () => tell('closed', {}))
    client.on('message', (topic, payload, packet) =>
      tell('message', { topic, payload: payload.toString(), qos: packet.qos, retain: packet.retain, dup: packet.dup })
    )
  },
  subscribe({ filter, qos }) {
    client.subscribe(filter, { qos }, (error, granted) =>
      error ? tell('refused', reasonOf(error)) : tell('subscribed', { qos: granted[0].qos })
    )
  },
  publish({ topic, payload, options }) {
    client.publish(topic, payload, options, (error) => (error ? tell('refused', reasonOf(error)) : tell('published', {})))
  },
  // The network fails: nothing more is sent. MQTT.js then connects again by itself.
  break() {
    client.stream.destroy()
  },
  end() {
    client.end(false, {}, () => process.exit(0))
  },
}

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const { command, ...rest } = JSON.parse(line)
  commands[command](rest)
})
