// An HTTP server that leaves with a code of its own: node server.js SOCKET
const http = require('http');

const server = http.createServer((request, response) => {
  response.setHeader('Connection', 'close');
  response.end('hello from node\n');
});

process.on('SIGTERM', () => {
  server.close(() => {
    console.log('server closed');
    process.exitCode = 3;
  });
});
server.listen(process.argv[2], () => console.log('listening'));
