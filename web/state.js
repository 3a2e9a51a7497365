// The page's one ChatBoard, and how elements follow it.

import { ChatBoard } from "/chatboard.js";

export const board = new ChatBoard();

/**
 * A Lit controller: redraws its element when one of the board's events comes, at most once a frame.
 */
export class Follow {
  /** @type {() => void} */
  #redraw;

  /**
   * @param {import("lit").ReactiveControllerHost} host
   * @param {string[]} events
   * @param {(detail: any) => boolean} [matters] leaves out what does not concern the element
   * @param {() => number} [every] milliseconds between two drawings, where one a frame would be for nobody
   */
  constructor(host, events, matters = () => true, every = () => 0) {
    this.events = events;
    let waiting = false;
    let drawnAt = 0;
    this.#redraw = () => {
      if (waiting) return;
      waiting = true;
      const rest = drawnAt + every() - performance.now();
      if (rest > 0) return void setTimeout(draw, rest);
      // A hidden page draws no frames, yet its title and badges should stay true.
      const soon = document.hidden ? (/** @type {() => void} */ run) => setTimeout(run, 200) : requestAnimationFrame;
      soon(draw);
    };
    const draw = () => {
      waiting = false;
      drawnAt = performance.now();
      host.requestUpdate();
    };
    /** @param {Event} event */
    this.heard = (event) => {
      if (matters(/** @type {CustomEvent} */ (event).detail)) this.#redraw();
    };
    host.addController(this);
  }

  hostConnected() {
    for (const type of this.events) board.addEventListener(type, this.heard);
  }

  hostDisconnected() {
    for (const type of this.events) board.removeEventListener(type, this.heard);
  }
}

/** Goes to a path of the page as a click on a link would. @param {string} path @param {{replace?: boolean, state?: any}} [options] */
export function go(path, { replace = false, state = {} } = {}) {
  if (replace) history.replaceState(state, "", path);
  else history.pushState(state, "", path);
  dispatchEvent(new PopStateEvent("popstate"));
}
