/**
 * Shows a notebook's explorers in a page that has no kernel.
 *
 * The page carries what the notebook stored: the state of its widgets, in script elements of the
 * type STATE, and where each is shown, in script elements of the type VIEW. An anywidget's state
 * holds its own ES module (`_esm`) and style sheet (`_css`). This host gives that module the part
 * of a live front end that it asks for, as https://anywidget.dev/en/afm/ describes it:
 *
 *     initialize({ model, signal })    once for each model that is shown; may return a cleanup
 *     render({ model, el, signal })    once for each view; may return a cleanup
 *     model.get, set, on, off, save_changes, send, widget_manager.get_model
 *
 * save_changes and send end here, as there is nobody to tell. The cleanups run when the page goes.
 *
 * Before each view stands, in the same `.explorer`, a picture of it and a sentence: both count
 * where scripts are off. The class `explorer-live` says that the widget has taken their place. A
 * widget that cannot be shown leaves them, and a message says why.
 *
 * A classic script, since a browser loads no module from a file:// page; nothing is fetched, and
 * no name is added to the page.
 */
(() => {
  "use strict";

  const STATE = "application/vnd.jupyter.widget-state+json";
  const VIEW = "application/vnd.jupyter.widget-view+json";
  const REFERENCE = /^IPY_MODEL_/;
  const leaving = new AbortController();

  /** The page's script elements of one type; what they hold is JSON. */
  const scripts = (type) => [...document.querySelectorAll(`script[type="${type}"]`)];

  /** Bytes of a base64 text, as the DataView that a live front end gives. */
  function decode(text) {
    return new DataView(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
  }

  /** A copy of the traits with each stored buffer in its place: path is ["data"] or deeper. */
  function traits({ state, buffers = [] }) {
    const copy = structuredClone(state);
    for (const { path, data, encoding } of buffers) {
      if (encoding !== "base64") throw new Error(`a buffer is stored as ${encoding}, not as base64`);
      const parent = path.slice(0, -1).reduce((inner, name) => inner[name], copy);
      parent[path.at(-1)] = decode(data);
    }
    return copy;
  }

  /** Whether setting `b` where `a` stood changes nothing; buffers are the same or not. */
  function same(a, b) {
    if (Object.is(a, b)) return true;
    if (typeof a !== "object" || typeof b !== "object" || !a || !b) return false;
    if ([a, b].some((value) => ArrayBuffer.isView(value))) return false;
    const names = Object.keys(a);
    return (
      Array.isArray(a) === Array.isArray(b) &&
      names.length === Object.keys(b).length &&
      names.every((name) => Object.hasOwn(b, name) && same(a[name], b[name]))
    );
  }

  /** What a widget's module knows of its Python side. */
  class Model {
    #traits;
    #listeners = new Map(); // event -> [callback], in order

    constructor(stored, manager) {
      this.#traits = traits(stored);
      this.widget_manager = manager;
    }

    get(name) {
      return this.#traits[name];
    }

    /** Tells "change:<name>", then "change"; nobody where the value is the one that was there. */
    set(name, value) {
      const changes = typeof name === "object" ? { ...name } : { [name]: value };
      const changed = Object.keys(changes).filter((key) => !same(this.#traits[key], changes[key]));
      for (const key of changed) this.#traits[key] = changes[key];
      for (const key of changed) this.#tell(`change:${key}`, changes[key]);
      if (changed.length) this.#tell("change");
    }

    save_changes() {}

    send() {}

    /** Events are "change:<name>" and "change"; several stand with blanks between them. */
    on(events, callback) {
      for (const event of events.split(/\s+/)) {
        this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), callback]);
      }
    }

    /** Without a callback all of that event, without an event all that there are. */
    off(events, callback) {
      for (const event of events ? events.split(/\s+/) : [...this.#listeners.keys()]) {
        const kept = (this.#listeners.get(event) ?? []).filter((one) => callback && one !== callback);
        this.#listeners.set(event, kept);
      }
    }

    #tell(event, ...values) {
      for (const callback of this.#listeners.get(event) ?? []) callback(this, ...values);
    }
  }

  /** The page's models by their id, each made when it is first asked for. */
  class Manager {
    #stored = {};
    #models = new Map();

    constructor() {
      for (const script of scripts(STATE)) {
        Object.assign(this.#stored, JSON.parse(script.textContent).state);
      }
    }

    /** A promise of the model; `id` may be a reference ("IPY_MODEL_<id>"). Unknown ones reject. */
    async get_model(id) {
      const name = String(id).replace(REFERENCE, "");
      if (!Object.hasOwn(this.#stored, name)) {
        throw new Error(`the page does not hold the model ${name}`);
      }
      if (!this.#models.has(name)) this.#models.set(name, new Model(this.#stored[name], this));
      return this.#models.get(name);
    }
  }

  const modules = new Map(); // text -> promise of the module

  /** The module that a text is; the same text is imported once. */
  function load(text) {
    if (!modules.has(text)) {
      const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
      const loaded = import(url).finally(() => URL.revokeObjectURL(url));
      modules.set(text, loaded);
    }
    return modules.get(text);
  }

  const styles = new Set();

  /** Puts a style sheet into the page, once. */
  function addStyle(text) {
    if (!text || styles.has(text)) return;
    styles.add(text);
    const style = document.createElement("style");
    style.textContent = text;
    document.head.append(style);
  }

  /** Runs a cleanup, if it is one, when the page goes. */
  function atTheEnd(cleanup) {
    if (typeof cleanup === "function") leaving.signal.addEventListener("abort", () => cleanup());
  }

  const widgets = new WeakMap(); // model -> promise of its module's export, initialised

  /** What the model's module exports, made ready once for all views of the model. */
  function widgetOf(model) {
    if (!widgets.has(model)) widgets.set(model, initialised(model));
    return widgets.get(model);
  }

  async function initialised(model) {
    const module = await load(model.get("_esm"));
    const exported = module.default ?? { render: module.render };
    const widget = typeof exported === "function" ? await exported() : exported;
    atTheEnd(await widget.initialize?.({ model, signal: leaving.signal }));
    return widget;
  }

  /** An explorer's view in the element; throws what its module throws. */
  async function render(model, el) {
    addStyle(model.get("_css"));
    const widget = await widgetOf(model);
    if (!widget.render) throw new Error("its module has no render");
    atTheEnd(await widget.render({ model, el, signal: leaving.signal }));
  }

  /** The element around a view: what the book's build made, or a new one in the view's place. */
  function placeOf(script) {
    const place = script.closest(".explorer") ?? document.createElement("div");
    if (!place.contains(script)) {
      place.className = "explorer";
      script.replaceWith(place);
      place.append(script);
    }
    return place;
  }

  /** A sentence in place of a widget. */
  function say(place, text) {
    const note = document.createElement("p");
    note.className = "explorer-note";
    note.textContent = text;
    place.append(note);
  }

  /** "IntSlider" of a stock widget's model; null of an explorer. */
  function stockName(model) {
    if (model.get("_esm") !== undefined) return null;
    return String(model.get("_model_name") ?? "widget").replace(/Model$/, "");
  }

  async function show(script, manager) {
    const place = placeOf(script);
    const el = document.createElement("div");
    el.className = "explorer-view";
    try {
      const model = await manager.get_model(JSON.parse(script.textContent).model_id);
      const stock = stockName(model);
      if (stock) {
        place.classList.add("explorer-stock");
        say(
          place,
          `Here stands a live control (${stock}). It needs Python: run this page as a notebook.`,
        );
        return;
      }
      place.append(el); // in the page already, so that the module can measure it
      await render(model, el);
      place.classList.add("explorer-live");
    } catch (error) {
      console.error(error);
      el.remove();
      place.classList.add("explorer-failed");
      say(place, `This explorer could not start in your browser (${error?.message ?? error}).`);
    }
  }

  function start() {
    const manager = new Manager();
    for (const script of scripts(VIEW)) show(script, manager);
  }

  addEventListener("pagehide", (event) => event.persisted || leaving.abort());
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", start);
  else start();
})();
