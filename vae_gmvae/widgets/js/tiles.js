/** Many small pictures: to choose one from, and painted without holding up the page. */
import { h, keepKeys, onFrame } from "./controls.js";

/**
 * One of several, chosen by pointer or arrow keys: native radio buttons that look like tiles.
 * content: an element (or several) for each; names: what each is called aloud.
 */
export function choice({ label, content, names, value = 0, onchange }) {
  // radio buttons of one name exclude
  const name = `vx-${Math.random().toString(36).slice(2)}`;
  const inputs = names.map((aloud, i) => h("input",
    { type: "radio", name, "aria-label": aloud, onchange: () => onchange(i) }));
  const tiles = inputs.map((input, i) => h("label", { class: "vx-tile" }, input, content[i]));
  // half as many where the explorer is narrow
  const columns = Math.min(names.length, 10);
  const style = `--vx-columns:${columns};--vx-half:${Math.ceil(columns / 2)}`;
  const el = keepKeys(h("div", { class: "vx-tiles", role: "radiogroup", "aria-label": label, style }, tiles));
  inputs[value].checked = true;
  return {
    el,
    get value() { return inputs.findIndex((input) => input.checked); },
    set value(i) { inputs[i].checked = true; },
  };
}

/**
 * Paints `count` pictures in turn, after the frame that answers the reader, for about 8 ms at a
 * time. The returned function calls for all of them anew; it goes on where it was, so that all
 * follow while something is dragged. onrest(left): after each stretch, how many are left.
 */
export function inTurn(count, paint, onrest) {
  let [next, left] = [0, 0];
  const work = () => {
    const start = performance.now();
    while (left > 0 && performance.now() - start < 8) {
      paint(next);
      next = (next + 1) % count;
      left -= 1;
    }
    onrest?.(left);
    if (left > 0) soon();
  };
  const soon = onFrame(() => setTimeout(work));
  const restart = () => { left = count; soon(); };
  restart.cancel = () => { left = 0; soon.cancel(); };
  return restart;
}
