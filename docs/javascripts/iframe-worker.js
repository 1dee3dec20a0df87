// A page that was opened from a file may not start a worker, and the theme searches in one. There, this worker runs
// its script in a hidden frame of the page instead.
if (location.protocol === "file:") {
  window.Worker = class {
    onmessage = null;
    onerror = null;

    constructor(script) {
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.body.append(this.frame);
      const inside = this.frame.contentWindow;
      inside.document.open(); // or some browsers replace the document once more
      inside.document.close();
      inside.postMessage = (data) => setTimeout(() => this.onmessage?.({ data: structuredClone(data) }));
      const element = inside.document.createElement("script");
      element.src = new URL(script, location);
      this.loaded = new Promise((resolve) => element.addEventListener("load", resolve));
      element.addEventListener("error", (event) => this.onerror?.(event));
      inside.document.documentElement.append(element);
    }

    postMessage(data) {
      const copy = structuredClone(data);
      this.loaded.then(() => this.frame.contentWindow?.onmessage?.({ data: copy }));
    }

    terminate() {
      this.frame.remove();
    }
  };
}
