// worker.js PORT: a service with work in hand, which it finishes when it gets SIGTERM or SIGINT.
const trial = require('net').connect(Number(process.argv[2]), '127.0.0.1');
const asked = new Promise((resolve) => ['SIGTERM', 'SIGINT'].forEach((name) => process.on(name, resolve)));
asked.then((name) => console.log(`worker.js: ${name}`));
trial.on('data', () => trial.write('finished\n', () => asked.then(() => process.exit(0))));
