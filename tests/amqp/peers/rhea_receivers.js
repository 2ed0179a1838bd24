// rhea as a receiver: selector, durable subscription, copy, dynamic node, resumed unsettled deliveries, drain.
// `node rhea_receivers.js WHAT PREFIX`; says one line of JSON. PREFIX keeps topics of one test apart from others'.
const rhea = require('rhea');

const what = process.argv[2];
const prefix = process.argv[3];
const say = (told) => { process.stdout.write(JSON.stringify(told) + '\n', () => process.exit(0)); };

function connect(id) {
    const container = rhea.create_container(id ? { id } : {});
    container.on('error', (fault) => { process.stderr.write(`${fault}\n`); process.exit(1); });
    const connection = container.connect({
        host: 'localhost',
        port: Number(process.env.AMQPS_PORT),
        transport: 'tls',
        username: process.env.AMQP_USER,
        password: process.env.AMQP_PASSWORD,
        reconnect: false,
    });
    return { container, connection };
}

const scenarios = {
    selector() {
        const { container, connection } = connect();
        const address = `/topics/${prefix}%2Frhea`;
        const heard = [];
        const receiver = connection.open_receiver({ source: { address, filter: rhea.filter.selector("colour IN ('red', 'green')") } });
        container.on('message', (context) => {
            heard.push(context.message.body);
            if (heard.length === 2) {
                const filter = receiver.remote.attach.source.filter;
                say({ heard, filter: Object.keys(filter || {}) });
            }
        });
        container.once('receiver_open', () => {
            const sender = connection.open_sender(address);
            sender.once('sendable', () => {
                ['red', 'blue', 'green'].forEach((colour) => sender.send({ body: colour, application_properties: { colour } }));
            });
        });
    },

    // The first connection gets a message and breaks before it says anything; the second is told what is unsettled.
    resume() {
        const address = `/topics/${prefix}%2Fresume`;
        const source = { address, durable: 2, expiry_policy: 'never' };
        const first = connect(`${prefix}-container`);
        const options = { name: 'once', source, rcv_settle_mode: 1, autoaccept: false, autosettle: false };
        first.connection.open_receiver(options);
        first.container.once('receiver_open', () => {
            const sender = first.connection.open_sender(address);
            sender.once('sendable', () => sender.send({ body: 'once', durable: true }));
        });
        first.container.once('message', (context) => {
            const tag = Buffer.from(context.delivery.tag).toString('hex');
            first.container.removeAllListeners('disconnected');
            first.connection.socket.destroy();
            setTimeout(() => {
                const second = connect(`${prefix}-container`);
                const receiver = second.connection.open_receiver(options);
                second.container.once('message', (again) => {
                    const unsettled = receiver.remote.attach.unsettled;
                    const same = Buffer.from(again.delivery.tag).toString('hex') === tag;
                    again.delivery.update(false, rhea.message.accepted().described());
                    receiver.once('settled', () => say({ same, body: again.message.body, known: Object.keys(unsettled || {}).length }));
                });
            }, 300);
        });
    },

    drain() {
        const { container, connection } = connect();
        const node = connection.open_receiver({ source: { dynamic: true }, credit_window: 0 });
        const heard = [];
        container.on('message', (context) => heard.push(context.message.body));
        node.once('receiver_open', () => {
            const address = node.remote.attach.source.address;
            const sender = connection.open_sender(address);
            let accepted = 0;
            sender.on('accepted', () => {
                accepted += 1;
                if (accepted === 2) {
                    node.drain = true;
                    node.add_credit(10);
                }
            });
            sender.once('sendable', () => { sender.send({ body: 1 }); sender.send({ body: 2 }); });
            node.once('receiver_drained', () => say({ heard, credit: node.credit }));
        });
    },
};

scenarios[what]();
