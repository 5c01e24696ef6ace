/*
 * Two things for the theme's search, which runs in a worker:
 *
 * - Options are found as one writes them: `--drain`. To the search, a hyphen before a word means
 *   "not this word".
 * - It works in pages of the file system, for which browsers start no worker. A hidden frame that
 *   loads the same script takes its place: it has its own global scope, and gets and posts messages.
 *   The search looks for the name IFrameWorker to know where it is.
 */
class FrameWorker extends EventTarget {
  #frame = document.createElement("iframe");
  #waiting = [];

  constructor(url) {
    super();
    this.#frame.hidden = true;
    this.#frame.srcdoc = `<script src="${url}"></script>`;
    this.#frame.onload = () => {
      this.#frame.contentWindow.postMessage = (data) =>
        this.dispatchEvent(new MessageEvent("message", { data }));
      const waiting = this.#waiting;
      this.#waiting = null;
      waiting.forEach((data) => this.postMessage(data));
    };
    document.documentElement.append(this.#frame);
  }

  postMessage(data) {
    if (this.#waiting) this.#waiting.push(data);
    else this.#frame.contentWindow.dispatchEvent(new MessageEvent("message", { data }));
  }
}

if (location.protocol === "file:") window.IFrameWorker = window.Worker = FrameWorker;

const post = Worker.prototype.postMessage;
Worker.prototype.postMessage = function (message) {
  const QUERY = 2; // the theme's number for it
  const found = message.type === QUERY;
  post.call(this, found ? { ...message, data: message.data.replace(/(^|\s)-+/g, "$1") } : message);
};
