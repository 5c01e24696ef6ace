// Node.js with a handler that waits for what never comes.
process.on("SIGTERM", () => {});
require("net").createServer().listen(7436, "127.0.0.1", () => console.log("ready"));
