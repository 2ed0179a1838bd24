// rhea: logs in by one SASL mechanism, says something to a topic, hears it, and leaves.
//
// `node rhea_login.js MECHANISM TOPIC [tls|ws|ws-plain]`; one line of JSON: what was heard, or why it was refused.
// PLAIN, EXTERNAL and XOAUTH2 are rhea's own; OAUTHBEARER is RFC 7628's message; SCRAM comes from GNU SASL's library,
// NTLM from pyspnego, which the Python of SASL_PYTHON has.
'use strict';
const fs = require('fs');
const path = require('path');
const { spawn } = require('child_process');
const readline = require('readline');
const rhea = require('rhea');
const WebSocket = require('ws');

// GSASL/PLAIN: what rhea could do itself, from the library.
const [asked, topic, how = 'tls'] = process.argv.slice(2);
const mechanism = asked.replace('GSASL/', '');
const env = process.env;
const authority = [fs.readFileSync(env.AMQP_CA)];
const container = rhea.create_container();
let connection;

function tell(found) {
    process.stdout.write(JSON.stringify(found) + '\n', () => process.exit(0));
}

function exporter() {
    // RFC 9266: what a SCRAM with -PLUS binds to.
    return connection.socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0)).toString('base64');
}

class Relayed {
    start(callback) {
        const script = mechanism === 'NTLM' ? 'spnego_client.py' : 'gsasl_client.py';
        this.child = spawn(env.SASL_PYTHON || 'python3', [path.join(__dirname, script), mechanism], {
            stdio: ['pipe', 'pipe', 'inherit'],
        });
        this.lines = readline.createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
        this.child.stdin.write((mechanism.endsWith('-PLUS') ? exporter() : '') + '\n');
        this.next(callback);
    }

    step(challenge, callback) {
        this.child.stdin.write(Buffer.from(challenge).toString('base64') + '\n');
        this.next(callback);
    }

    async next(callback) {
        const line = await this.lines.next();
        callback(line.done ? 'the library gave up' : undefined, Buffer.from(line.value || '', 'base64'));
    }
}

class Bearer {
    start(callback) {
        callback(undefined, Buffer.from(`n,,\x01auth=Bearer ${env.AMQP_TOKEN}\x01\x01`));
    }

    step(challenge, callback) {
        callback(undefined, Buffer.from([1]));
    }
}

function options() {
    const found = { reconnect: false, host: 'localhost', servername: 'localhost', ca: authority };
    if (how === 'tls') {
        Object.assign(found, { port: env.AMQPS_PORT, transport: 'tls' });
    } else {
        const connect = rhea.websocket_connect(WebSocket);
        const url = how === 'ws' ? `wss://localhost:${env.AMQPS_WS_PORT}/amqp` : `ws://localhost:${env.AMQP_WS_PORT}/amqp`;
        found.connection_details = connect(url, ['amqp'], { ca: authority });
    }
    if (asked === 'PLAIN') {
        Object.assign(found, { username: env.AMQP_USER, password: env.AMQP_PASSWORD });
    } else if (mechanism === 'XOAUTH2') {
        Object.assign(found, { username: env.AMQP_USER, token: env.AMQP_TOKEN });
    } else if (mechanism === 'EXTERNAL') {
        found.cert = fs.readFileSync(env.AMQP_CERTIFICATE);
        found.key = fs.readFileSync(env.AMQP_KEY);
        found.enable_sasl_external = true;
    } else if (mechanism !== 'ANONYMOUS') {
        found.sasl_mechanisms = { [mechanism]: () => (mechanism === 'OAUTHBEARER' ? new Bearer() : new Relayed()) };
    }
    return found;
}

container.on('receiver_open', (context) => {
    if (context.receiver.source.address) {
        context.connection.open_sender(topic);
    }
});
container.once('sendable', (context) => context.sender.send({ body: 'said by rhea' }));
container.on('message', (context) => {
    context.connection.close();
    tell({ heard: context.message.body });
});
container.on('connection_error', (context) => tell({ refused: String(context.error || context.connection.error) }));
container.on('receiver_error', (context) => tell({ refused: String(context.receiver.error.condition) }));
container.on('disconnected', (context) => tell({ refused: context.error ? context.error.message : 'disconnected' }));
connection = container.connect(options());
connection.open_receiver(topic);
