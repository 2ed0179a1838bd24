// rhea as a sender: exactly once with a connection that is lost before settlement, link stealing, refused attaches. It
// sends no unsettled map of its own (it cannot write tags as keys), but reads ours: what we have it need not send again.
// `node rhea_senders.js WHAT PREFIX` says one line of JSON.
'use strict';

const fs = require('fs');
const rhea = require('rhea');

const [what, prefix] = process.argv.slice(2);
const NEVER = { durable: 2, expiry_policy: 'never' };

function connect(id) {
    const container = rhea.create_container(id ? { id } : {});
    const connection = container.connect({
        host: 'localhost',
        port: Number(process.env.AMQPS_PORT),
        transport: 'tls',
        username: process.env.AMQP_USER,
        password: process.env.AMQP_PASSWORD,
        ca: [fs.readFileSync(process.env.AMQP_CA)],
        reconnect: false,
    });
    return { container, connection };
}

function say(told) {
    console.log(JSON.stringify(told));
    process.exit(0);
}

const address = `/topics/${prefix}`;
const exact = {
    name: `${prefix}-link`,
    target: { address, ...NEVER },
    snd_settle_mode: 0,
    rcv_settle_mode: 1,
    autosettle: false,
};

const scenarios = {
    exactly() {
        const heard = [];
        const watcher = connect();
        const receiver = watcher.connection.open_receiver({ source: { address }, rcv_settle_mode: 1, autoaccept: false });
        watcher.container.on('message', (context) => {
            heard.push(context.message.body);
            context.delivery.update(false, rhea.message.accepted().described());
        });
        receiver.once('receiver_open', () => {
            const first = connect(`${prefix}-container`);
            const sender = first.connection.open_sender(exact);
            let lost = false;
            sender.on('sendable', () => {
                if (lost) return;
                lost = true;
                sender.send({ body: 'once' }, Buffer.from('tag-1'));
            });
            sender.on('accepted', () => {
                // The outcome is known here and the connection breaks before anybody can hear of it.
                first.connection.socket.destroy();
                setTimeout(again, 300);
            });
            first.container.on('disconnected', () => {});
        });

        function again() {
            const second = connect(`${prefix}-container`);
            const sender = second.connection.open_sender(exact);
            sender.once('sender_open', () => {
                const known = Object.keys(sender.remote.attach.unsettled || {}).length;
                sender.once('sendable', () => {
                    const delivery = sender.send({ body: 'twice' }, Buffer.from('tag-2'));
                    sender.once('accepted', () => {
                        delivery.update(true);
                        setTimeout(() => say({ heard, known }), 300);
                    });
                });
            });
        }
    },

    stolen() {
        const first = connect(`${prefix}-container`);
        const sender = first.connection.open_sender(exact);
        sender.once('sender_open', () => {
            const second = connect(`${prefix}-container`);
            second.connection.open_sender(exact);
        });
        first.container.on('sender_error', () => {});
        sender.once('sender_close', () => say({ condition: sender.error && sender.error.condition }));
    },

    refused() {
        const { connection, container } = connect();
        const told = [];
        const wanted = ['/queues/there-is-none', '/topics/a%2F%23', '/topics/%zz'];
        container.on('sender_error', (context) => {
            told.push(context.sender.error.condition);
            if (told.length === wanted.length) say({ told });
        });
        wanted.forEach((each) => connection.open_sender({ target: { address: each } }));
    },
};

scenarios[what]();
