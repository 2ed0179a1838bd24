// MQTT.js driven by a test: a command as JSON on each line of standard input, what happens as JSON on standard output.
'use strict'

const crypto = require('crypto')
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

// SCRAM, the client's side (RFC 5802), with nothing but Node.js.
class Scram {
  constructor({ method, name, password }) {
    this.method = method
    this.hash = method.includes('512') ? 'sha512' : 'sha256'
    this.size = this.hash === 'sha512' ? 64 : 32
    this.name = name
    this.password = password
  }

  hmac(key, text) {
    return crypto.createHmac(this.hash, key).update(text).digest()
  }

  properties(text) {
    return { authenticationMethod: this.method, authenticationData: Buffer.from(text) }
  }

  first() {
    this.bare = `n=${this.name},r=${crypto.randomBytes(18).toString('base64')}`
    return this.properties('n,,' + this.bare)
  }

  final(challenge) {
    const [nonce, salt, iterations] = challenge.split(',').map((part) => part.slice(2))
    const salted = crypto.pbkdf2Sync(this.password, Buffer.from(salt, 'base64'), +iterations, this.size, this.hash)
    const key = this.hmac(salted, 'Client Key')
    const end = `c=biws,r=${nonce}`
    const message = `${this.bare},${challenge},${end}`
    const mask = this.hmac(crypto.createHash(this.hash).update(key).digest(), message)
    this.expected = 'v=' + this.hmac(this.hmac(salted, 'Server Key'), message).toString('base64')
    return this.properties(`${end},p=${key.map((octet, index) => octet ^ mask[index]).toString('base64')}`)
  }
}

let scram

const commands = {
  connect({ url, files, options, auth }) {
    for (const [name, path] of Object.entries(files)) options[name] = fs.readFileSync(path)
    if (auth) {
      scram = new Scram(auth)
      options.properties = { ...options.properties, ...scram.first() }
    }
    client = mqtt.connect(url, options)
    client.handleAuth = (packet, callback) => {
      const data = String(packet.properties.authenticationData)
      if (packet.reasonCode === 0) {
        tell('authenticated', { proven: data === scram.expected })
        return callback()
      }
      callback(null, { cmd: 'auth', reasonCode: 0x18, properties: scram.final(data) })
    }
    client.on('disconnect', (packet) => tell('disconnected', { code: packet.reasonCode }))
    client.on('connect', (packet) => {
      const proven = auth ? String(packet.properties.authenticationData) === scram.expected : null
      tell('connected', { present: packet.sessionPresent, proven })
    })
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
  authenticate({ auth }) {
    scram = new Scram(auth)
    client._sendPacket({ cmd: 'auth', reasonCode: 0x19, properties: scram.first() })
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
