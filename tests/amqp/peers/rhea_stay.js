// rhea: logs in and stays, until the hub closes the connection or a link.
//
// `node rhea_stay.js MECHANISM TOPIC`; lines of JSON: {"open"}, {"heard"}, {"status", "description"} of $cbs, {"detached"}
// and {"closed"} with the condition. A line "token JWT" on standard input brings a token to $cbs.
'use strict';
const fs = require('fs');
const readline = require('readline');
const rhea = require('rhea');

const [mechanism, topic] = process.argv.slice(2);
const env = process.env;
const container = rhea.create_container();

function tell(found) {
    process.stdout.write(JSON.stringify(found) + '\n');
}

class Bearer {
    start(callback) {
        callback(undefined, Buffer.from(`n,,\x01auth=Bearer ${env.AMQP_TOKEN}\x01\x01`));
    }

    step(challenge, callback) {
        callback(undefined, Buffer.from([1]));
    }
}

const options = {
    reconnect: false,
    host: 'localhost',
    servername: 'localhost',
    port: env.AMQPS_PORT,
    transport: 'tls',
    ca: [fs.readFileSync(env.AMQP_CA)],
};
if (mechanism === 'PLAIN') {
    Object.assign(options, { username: env.AMQP_USER, password: env.AMQP_PASSWORD });
} else {
    options.sasl_mechanisms = { OAUTHBEARER: () => new Bearer() };
}
const connection = container.connect(options);
connection.open_receiver({ name: 'topic', source: topic });
let answers;
let sender;

container.on('receiver_open', (context) => {
    if (context.receiver.name === 'topic') {
        tell({ open: true });
    }
});
container.on('message', (context) => {
    if (context.receiver === answers) {
        const told = context.message.application_properties;
        tell({ status: told['status-code'], description: told['status-description'], to: context.message.correlation_id });
    } else {
        const body = context.message.body;
        tell({ heard: body.content ? body.content.toString() : body }); // a data section, or a value
    }
});
container.on('receiver_close', (context) => {
    const error = context.receiver.error;
    tell({ detached: error ? error.condition : null, because: error ? error.description : null });
});
container.on('connection_close', (context) => {
    const error = context.connection.error;
    tell({ closed: error ? error.condition : null, because: error ? error.description : null });
    process.exit(0);
});
container.on('connection_error', () => undefined);
container.on('receiver_error', () => undefined);
container.on('disconnected', () => {
    tell({ disconnected: true }); // before it was open: the log-in was refused
    process.exit(0);
});

let count = 0;
readline.createInterface({ input: process.stdin }).on('line', (line) => {
    const [word, token] = line.split(' ');
    if (word === 'close') {
        connection.close();
        return;
    }
    if (!sender) {
        answers = connection.open_receiver({ name: 'cbs-answers', source: '$cbs', target: 'cbs-answers' });
        sender = connection.open_sender({ name: 'cbs', target: '$cbs' });
    }
    const put = () => {
        count += 1;
        sender.send({
            message_id: `put-${count}`,
            reply_to: 'cbs-answers',
            application_properties: { operation: 'put-token', type: 'jwt', name: 'hub' },
            body: token,
        });
    };
    if (sender.sendable()) {
        put();
    } else {
        sender.once('sendable', put);
    }
});
