// A server that takes no more connections at SIGTERM, and waits for those that it has.
const http = require("http");
const seconds = Number(process.argv[3]);
const server = http.createServer((request, response) => {
  response.setHeader("Connection", "close");
  setTimeout(() => response.end("finished\n"), seconds * 1000);
});
process.on("SIGTERM", () => server.close());
server.listen(Number(process.argv[2]), "127.0.0.1");
