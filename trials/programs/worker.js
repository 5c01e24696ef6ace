// worker.js PORT: a service with work in hand, which it finishes when it gets SIGTERM or SIGINT.
const trial = require('net').connect(Number(process.argv[2]), '127.0.0.1');
trial.on('data', () => trial.end('finished\n'));
trial.on('close', () => process.exit(0));
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => {});
