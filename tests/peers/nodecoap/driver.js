// node-coap-client driven by a test: a command as JSON on each line of standard input, what happens as JSON on
// standard output.
'use strict'

const readline = require('readline')
const { CoapClient } = require('node-coap-client')

function tell(event, fields) {
  process.stdout.write(JSON.stringify({ event, ...fields }) + '\n')
}

function told(response) {
  return {
    code: response.code.toString(),
    format: response.format === undefined ? null : response.format,
    payload: response.payload ? response.payload.toString() : '',
  }
}

function failed(error) {
  tell('failed', { because: error.message })
}

const commands = {
  key({ host, identity, key }) {
    CoapClient.setSecurityParams(host, { psk: { [identity]: key } })
  },
  connect({ origin }) {
    CoapClient.tryToConnect(origin).then((result) => tell('tried', { result: String(result) }))
  },
  ping({ origin }) {
    CoapClient.ping(origin).then((alive) => tell('pinged', { alive }), failed)
  },
  request({ uri, method, payload, confirmable }) {
    const body = payload === null ? undefined : Buffer.from(payload)
    CoapClient.request(uri, method, body, { confirmable }).then((response) => tell('answered', told(response)), failed)
  },
  observe({ uri }) {
    CoapClient.observe(uri, 'get', (response) => tell('notified', told(response))).then(
      () => tell('observing', {}),
      failed
    )
  },
  forget({ uri }) {
    CoapClient.stopObserving(uri)
    tell('forgotten', {})
  },
  end() {
    CoapClient.reset()
    process.exit(0)
  },
}

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const { command, ...rest } = JSON.parse(line)
  commands[command](rest)
})
