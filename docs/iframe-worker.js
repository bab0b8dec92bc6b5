// Browsers start no worker for a page opened from disk: there the search runs in a hidden frame.
// The theme asks for `IFrameWorker` to know where its scripts are in that case.
class IFrameWorker extends EventTarget {
  constructor(url) {
    super();
    const frame = document.createElement("iframe");
    frame.hidden = true;
    this.inside = new Promise((resolve) => {
      frame.onload = () => {
        const inside = frame.contentWindow;
        inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
        inside.importScripts = async (...urls) => {
          for (const each of urls) await load(inside, each);
        };
        load(inside, url).then(() => resolve(inside));
      };
    });
    document.body.appendChild(frame);
  }

  postMessage(data) {
    this.inside.then((inside) => inside.dispatchEvent(new MessageEvent("message", { data })));
  }
}

function load(inside, url) {
  const script = inside.document.createElement("script");
  script.src = url;
  const loaded = new Promise((resolve) => (script.onload = resolve));
  inside.document.body.appendChild(script);
  return loaded;
}

if (location.protocol === "file:") window.Worker = window.IFrameWorker = IFrameWorker;
