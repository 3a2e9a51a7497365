// The page's one ChatBoard, and how elements follow it.

import { ChatBoard } from "/chatboard.js";

export const board = new ChatBoard();

/**
 * A Lit controller: redraws its element when one of the board's events comes, at most once a frame.
 *
 * ```js
 * follow = new Follow(this, ["rooms", "status"]);
 * ```
 */
export class Follow {
  /** @type {() => void} */
  #redraw;

  /**
   * @param {import("lit").ReactiveControllerHost} host
   * @param {string[]} events
   * @param {(detail: any) => boolean} [matters] leaves out what does not concern the element
   */
  constructor(host, events, matters = () => true) {
    this.events = events;
    let waiting = false;
    this.#redraw = () => {
      if (waiting) return;
      waiting = true;
      // A hidden page draws no frames, yet its title and badges should stay true.
      const soon = document.hidden ? (/** @type {() => void} */ run) => setTimeout(run, 200) : requestAnimationFrame;
      soon(() => {
        waiting = false;
        host.requestUpdate();
      });
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

/** Goes to a path of the page as a click on a link would. @param {string} path @param {{replace?: boolean}} [options] */
export function go(path, { replace = false } = {}) {
  if (replace) history.replaceState({}, "", path);
  else history.pushState({}, "", path);
  dispatchEvent(new PopStateEvent("popstate"));
}
